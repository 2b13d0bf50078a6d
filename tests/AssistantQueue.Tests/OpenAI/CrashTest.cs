using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>Lets an owner die at one point of its batch after the other; what it stored is all that the next one has.</summary>
public abstract class CrashTest : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    protected static Action<OpenAIOptions> Over(OpenAIApi api, bool background, bool stream) => options =>
    {
        options.Api = api;
        options.AssistantId = "asst_1";
        options.Background = background;
        options.Stream = stream;
    };

    protected static Action<OpenAIOptions> OverAChain(bool background, bool stream) => options =>
    {
        options.UseConversations = false;
        options.Background = background;
        options.Stream = stream;
    };

    /// <summary>A batch whose saves, and whatever else it does besides calling the API, are points of its owner's life.</summary>
    private protected abstract StoredBatch NewBatch(string thread, CrashingOwner owner);

    /// <summary>How many points a batch has whose owner lives.</summary>
    private protected async Task<int> PointsAsync(Action<OpenAIOptions> settings)
    {
        using var owner = new CrashingOwner(at: 0);
        await CompleteAsync(BackendOf(owner, settings), NewBatch("whole", owner));
        return owner.Points;
    }

    /// <summary>Runs a batch until its owner dies; the batch is as the next owner finds it, and the API has ended what was left there.</summary>
    private protected async Task<(StoredBatch Batch, string? DiedAt)> DieAsync(Action<OpenAIOptions> settings, string thread, int at)
    {
        using var owner = new CrashingOwner(at);
        var batch = NewBatch(thread, owner);
        try
        {
            await foreach (var update in BackendOf(owner, settings).RunAsync(batch.NextOwner(), owner.Life.Token))
            {
                // whatever it still tells is lost with it
            }
        }
        catch (Exception e) when (e is OwnerDiedException or OperationCanceledException or AssistantBackendException)
        {
            // dead
        }

        batch.AtSave = _ => { };
        if (batch.Tools is { } tools)
        {
            tools.AtCall = (_, _) => { };
        }

        await Emulator.Ledger.WaitForAsync(l => l.Open.All(r => r.Status == "requires_action"), Ct);
        return (batch, owner.DiedAt);
    }

    private IAssistantBackend BackendOf(CrashingOwner owner, Action<OpenAIOptions> settings) =>
        NewBackend(settings, services: s => s.AddKeyedSingleton("AssistantQueue", new HttpClient(owner)));
}
