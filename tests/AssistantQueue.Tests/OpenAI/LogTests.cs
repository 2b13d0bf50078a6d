using AssistantQueue.Emulators;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace AssistantQueue.Tests.OpenAIBackends;

/// <summary>What the backends log.</summary>
public class LogTests : BackendTest
{
    protected override void Configure(OpenAIOptions options) => options.Model = "gpt-test";

    [Fact]
    public async Task Log_EverythingThatGoesWrong_NamesTheThreadAndNeverTextOrKey()
    {
        AnswersFitSchema = false;
        var log = new FakeLogCollector();
        var backend = NewBackend(services: s => s.AddLogging(l => l.SetMinimumLevel(LogLevel.Trace)).AddSingleton<ILoggerProvider>(new FakeLoggerProvider(log)));
        Emulator.Faults.Add(new() { Operation = "create_response", Kind = OpenAIFaultKind.Cut, AfterWork = true, Count = 1 });
        Emulator.Faults.Add(new() { Operation = "get_response", Kind = OpenAIFaultKind.Error, Count = 2 });
        Emulator.Faults.Add(new() { Operation = "list_items", Kind = OpenAIFaultKind.Garbage, Count = 1 });
        var first = new StoredBatch("thread-of-log", "a private matter");
        await FailAsync(backend, first);
        await CompleteAsync(backend, first);

        await CompleteAsync(backend, new StoredBatch("thread-of-log", "/slow 0.1\nanother private matter") { BatchId = "batch-2", Conversation = first.Conversation });

        var lines = log.GetSnapshot().Where(r => r.Category == "AssistantQueue.OpenAI.OpenAIBackend").ToList();
        Assert.Superset(new HashSet<int> { 6000, 6001, 6004, 6009 }, lines.Select(l => l.Id.Id).ToHashSet());
        Assert.All(lines, l => Assert.Contains("'thread-of-log'", l.Message));
        Assert.DoesNotContain(log.GetSnapshot(), l => l.Message.Contains("private", StringComparison.Ordinal) || l.Message.Contains("sk-test", StringComparison.Ordinal));
    }
}
