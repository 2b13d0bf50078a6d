using AssistantQueue.Emulators;
using Microsoft.Extensions.Time.Testing;

namespace AssistantQueue.Tests.Emulators;

/// <summary>The ten minutes of a run, and the latency of the model, on a clock moved by hand.</summary>
public sealed class ExpiryTests : EmulatorTest
{
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Run_WaitingForOutputs_ExpiresAfterTenMinutes()
    {
        Emulator.Faults.Add(new() { Kind = OpenAIFaultKind.RunCallsFunction });
        var thread = await NewThreadAsync();
        var run = (await Assistants.CreateRunAsync(thread, "asst_1", cancellationToken: Ct)).Value;
        await StatusOfAsync(run.Id, r => r.Status == "requires_action");

        clock.Advance(TimeSpan.FromSeconds(599));
        Assert.Null(Emulator.Ledger.Snapshot().Runs.Single().EndSequence);
        clock.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("expired", (await EndOfAsync(run.Id)).Runs.Single().Status);
    }

    [Fact]
    public async Task Response_WithLatency_CompletesWhenItIsOver()
    {
        Emulator.Options.Latency = TimeSpan.FromMinutes(1);
        var response = await PostAsync("responses", """{"model":"m","background":true,"input":"hi"}""");
        var id = (string)response.Body["id"]!;
        var ended = EndOfAsync(id);

        while (!ended.IsCompleted)
        {
            // the work may not have begun to wait yet; time goes on until it has
            clock.Advance(TimeSpan.FromSeconds(30));
            await Task.Yield();
        }

        var run = (await ended).Runs.Single();
        Assert.True(run.EndedAt - run.StartedAt >= TimeSpan.FromMinutes(1));
    }

    protected override TimeProvider Time() => clock;
}
