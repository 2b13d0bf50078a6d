using AssistantQueue.ChatClient;
using AssistantQueue.Store;
using AssistantQueue.Tests.Worker;
using AssistantQueue.Worker;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>Workers whose backend is a local chat client, on a real store.</summary>
internal sealed class ChatRig : IAsyncDisposable
{
    private ChatRig(WorkerRig rig) => Rig = rig;

    public WorkerRig Rig { get; }

    public TestChatClient Client { get; } = new();

    public ChatClientOptions Options { get; } = new();

    /// <summary>What the backend talks to; the client unless a test puts a pipeline before it.</summary>
    public IChatClient? Pipeline { get; set; }

    /// <summary>How the backend gets its client, for each request.</summary>
    public Func<IChatClient>? Make { get; set; }

    public static async Task<ChatRig> CreateAsync()
    {
        var rig = new WorkerRig(await TestRedis.ConnectionStringAsync());
        rig.Options.MessageDelay = TimeSpan.Zero;
        return new ChatRig(rig);
    }

    /// <summary>A worker with a backend of its own, as a process has.</summary>
    public Task<AssistantQueueWorker> StartWorkerAsync(IQueueStore? store = null) =>
        Rig.StartWorkerAsync(store: store, backend: new ChatClientBackend(() => Make?.Invoke() ?? Pipeline ?? Client, () => Options, TimeProvider.System, Rig.Log));

    public async Task<AssistantReply> AskAsync(string text, string thread = "c1")
    {
        await Rig.AddAsync(thread, text);
        return await Rig.Handler.NextReplyAsync();
    }

    /// <summary>The turns that are stored for a thread, each as its messages' lines.</summary>
    public async Task<IReadOnlyList<string>> TurnsAsync(string thread = "c1")
    {
        await Rig.AddAsync(thread, "read");
        var batch = Assert.Single((await Rig.ClaimAsDyingWorkerAsync()).Batches);
        return [.. batch.Conversation.Where(f => f.Key.StartsWith(ChatTurn.Prefix, StringComparison.Ordinal)).OrderBy(f => f.Key, StringComparer.Ordinal)
            .Select(f => string.Join(" / ", ChatTurn.Read(f.Key, f.Value).Messages.Select(m => $"{m.Role}: {m.Text}")))];
    }

    public ValueTask DisposeAsync() => Rig.DisposeAsync();
}
