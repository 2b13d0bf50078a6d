using AssistantQueue.IntegrationTests.Redis;

namespace AssistantQueue.IntegrationTests.Pipeline;

/// <summary>A conversation over processes: this one produces and watches, others work, and the emulator's ledger judges.</summary>
public abstract class ConversationTest
{
    private protected static readonly Dictionary<string, string> Responses = new()
    {
        ["OpenAI:Model"] = "gpt-test",
        ["OpenAI:Stream"] = "true",
        ["MessageDelay"] = "00:00:00",
        ["LockDuration"] = "00:00:04",
    };

    private protected static readonly Dictionary<string, string> Assistants = new(Responses) { ["OpenAI:Api"] = "Assistants", ["OpenAI:AssistantId"] = "asst_test" };

    public static TheoryData<string> Apis => ["Responses", "Assistants"];

    /// <summary>Watches a thread, from its beginning or from a position, until an update comes.</summary>
    private protected static async Task<T> UntilAsync<T>(PipelineRig rig, string thread, CancellationToken cancellationToken, Func<T, bool>? isWanted = null, string after = "0")
        where T : ThreadUpdate
    {
        await foreach (var update in rig.Queue.WatchThreadAsync(thread, after, cancellationToken))
        {
            if (update is T wanted && isWanted?.Invoke(wanted) != false)
            {
                return wanted;
            }
        }

        throw new InvalidOperationException("The updates ended.");
    }

    private protected static CancellationTokenSource Patience() => new(TimeSpan.FromMinutes(2));

    private protected static async Task<PipelineRig> StartAsync(string api, params string[] emulator) =>
        await PipelineRig.StartAsync((await TestRedis.GetAsync()).Instance.ConnectionString, api == "Assistants" ? Assistants : Responses, emulator);
}
