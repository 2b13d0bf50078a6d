using System.Collections.Concurrent;
using AssistantQueue.IntegrationTests.Pipeline;
using AssistantQueue.IntegrationTests.Redis;
using AssistantQueue.TestHost;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Worker;

/// <summary>A message that kills every process which runs it, among healthy threads, with workers that are started again like a container.</summary>
public sealed class PoisonTests(ITestOutputHelper output)
{
    private const int Healthy = 20;
    private const int Questions = 5;

    [Fact]
    public async Task Poison_AmongTwentyHealthyThreads_IsTheOnlyDeadLetterAfterMaxDeaths()
    {
        await using var rig = await PipelineRig.StartAsync(
            (await TestRedis.GetAsync()).Instance.ConnectionString,
            new Dictionary<string, string> { ["MessageDelay"] = "00:00:00", ["LockDuration"] = "00:00:05", ["Concurrency"] = "10", ["MaxDeaths"] = "3" });
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var over = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var deaths = new ConcurrentQueue<int>();
        var workers = Enumerable.Range(0, 2).Select(_ => SuperviseAsync(rig, deaths, over.Token)).ToList();

        var people = Enumerable.Range(0, Healthy).Select(i => AskAsync(rig.Queue, $"healthy-{i}", patience.Token)).ToList();
        var poison = await rig.Queue.EnqueueAsync(new AssistantMessage { ThreadId = "poison", Text = "boom" }, patience.Token);
        await Task.WhenAll(people);
        var failure = await Assert.ThrowsAsync<BatchFailedException>(() => rig.Queue.WaitForReplyAsync(poison, patience.Token));
        var delivered = await rig.WaitForDeliveredAsync(all => all.Any(d => d.ThreadId == "poison"), patience.Token);
        await over.CancelAsync();
        await Task.WhenAll(workers);

        Assert.Equal(FailureKind.Poison, failure.Failure.Kind);
        Assert.Equal("poison", Assert.Single(delivered.DistinctBy(d => d.BatchId), d => d.Kind != "reply").ThreadId);
        var status = await rig.Queue.GetQueueStatusAsync(patience.Token);
        Assert.Equal((1, Healthy * Questions), (status.FailedCount, status.CompletedCount));
        output.WriteLine($"{deaths.Count} processes died");
        // A death isn't counted while Redis keeps a claim waiting for a third of a lease, as a machine does that is too busy.
        Assert.InRange(deaths.Count, 3, 5);
    }

    // As an orchestrator does: what dies is started again.
    private static async Task SuperviseAsync(PipelineRig rig, ConcurrentQueue<int> deaths, CancellationToken over)
    {
        while (true)
        {
            var worker = await rig.StartWorkerAsync("--poison", "poison");
            try
            {
                await worker.WaitForExitAsync(over);
                deaths.Enqueue(worker.Id);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private static async Task AskAsync(IAssistantMessageQueue queue, string thread, CancellationToken cancellationToken)
    {
        for (var i = 0; i < Questions; i++)
        {
            Assert.Equal("yes", (await queue.AskAsync(thread, "well?", cancellationToken: cancellationToken)).Text);
        }
    }
}
