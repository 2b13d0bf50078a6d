using AssistantQueue.Emulators;
using AssistantQueue.OpenAI;
using AssistantQueue.Store;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>The scenarios: together they make every call that a worker makes to the store, which a test checks, and those to either API.</summary>
internal static class CrashScenarios
{
    private const string Post = "POST /v1/responses";
    private const string Look = "GET /v1/responses/*";
    private const string PostRun = "POST /v1/threads/*/runs";
    private const string LookAtRun = "GET /v1/threads/*/runs/*";

    private static readonly string[] Journey =
        [nameof(IQueueStore.ClaimAsync), nameof(IQueueStore.WriteJournalAsync), nameof(IQueueStore.CompleteAsync), nameof(IQueueStore.ClaimDeliveriesAsync), nameof(IQueueStore.CloseDeliveryAsync)];

    // Each look is a crash point of its own: of a long run some are enough.
    private static readonly Action<OpenAIOptions> SeldomPolled = o => (o.Model, o.MaxPollInterval) = ("gpt-test", TimeSpan.FromMilliseconds(400));

    public static IReadOnlyList<CrashScenario> All { get; } =
    [
        new()
        {
            Name = "Responses in the background, another message meanwhile",
            OpenAI = o => o.Model = "gpt-test",
            HasFollower = true,
            MustPass = [.. Journey, "POST /v1/conversations", Post, Look],
        },
        new()
        {
            Name = "Responses in the background, read as a stream",
            OpenAI = o => (o.Model, o.Stream) = ("gpt-test", true),
            IsStreamed = true,
            Emulator = e => e.DeltaPause = TimeSpan.FromMilliseconds(5),
            MustPass = [.. Journey, Post],
        },
        new()
        {
            Name = "Responses streamed in the foreground",
            OpenAI = o => (o.Model, o.Background) = ("gpt-test", false),
            IsStreamed = true,
            Emulator = e => (e.DeltaPause, e.LostStream) = (TimeSpan.FromMilliseconds(5), LostClient.Ends),
            EndsWithOwner = true,
            MustPass = [.. Journey, Post],
        },
        new()
        {
            Name = "Chain in the background",
            OpenAI = o => (o.Model, o.UseConversations) = ("gpt-test", false),
            HasFollower = true,
            IsChain = true,
            MustPass = [.. Journey, Post, Look],
        },
        new()
        {
            Name = "Chain streamed in the foreground",
            OpenAI = o => (o.Model, o.UseConversations, o.Background) = ("gpt-test", false, false),
            IsStreamed = true,
            Emulator = e => (e.DeltaPause, e.LostStream) = (TimeSpan.FromMilliseconds(5), LostClient.Ends),
            EndsWithOwner = true,
            IsChain = true,
            MustPass = [.. Journey, Post],
        },
        new()
        {
            Name = "Assistants, another message meanwhile",
            OpenAI = o => o.AssistantId = "asst_test",
            HasFollower = true,
            MustPass = [.. Journey, "POST /v1/threads", PostRun, LookAtRun],
        },
        new()
        {
            Name = "Assistants, read as a stream",
            OpenAI = o => (o.AssistantId, o.Stream) = ("asst_test", true),
            IsStreamed = true,
            Emulator = e => e.DeltaPause = TimeSpan.FromMilliseconds(5),
            MustPass = [.. Journey, PostRun],
        },
        new()
        {
            Name = "A run that outlasts renewals",
            OpenAI = SeldomPolled,
            Command = "\n/slow 1.5",
            MustPass = [.. Journey, nameof(IQueueStore.Renew)],
        },
        new()
        {
            Name = "A run that an earlier owner left",
            OpenAI = SeldomPolled,
            Command = "\n/slow 4.5",
            DiedBefore = new(Look, 1, CrashMoment.Before),
            MustPass = [.. Journey[2..], Look],
        },
        new()
        {
            Name = "A post that an earlier owner left",
            OpenAI = o => o.AssistantId = "asst_test",
            DiedBefore = new(PostRun, 1, CrashMoment.After),
            MustPass = [.. Journey, "GET /v1/threads/*/runs"],
        },
        new()
        {
            Name = "A failed attempt",
            OpenAI = o => o.Model = "gpt-test",
            Fault = new() { Operation = "create_response", Kind = OpenAIFaultKind.RunFails },
            MustPass = [.. Journey, nameof(IQueueStore.RetryAsync)],
        },
        new()
        {
            Name = "A thread that is busy",
            OpenAI = o => o.Model = "gpt-test",
            Fault = OpenAIFault.ConversationLocked(),
            MustPass = [.. Journey, nameof(IQueueStore.ReleaseAsync)],
        },
        new()
        {
            Name = "A batch that the API refuses",
            OpenAI = o => o.Model = "gpt-test",
            Command = "\n/refuse",
            EndsAsFailure = true,
            MustPass = [nameof(IQueueStore.FailAsync), nameof(IQueueStore.ClaimDeliveriesAsync), nameof(IQueueStore.CloseDeliveryAsync)],
        },
        new()
        {
            Name = "A handler that refuses twice",
            OpenAI = o => o.Model = "gpt-test",
            HandlerRefuses = time => time <= 2,
            MustPass = [.. Journey, nameof(IQueueStore.PostponeDeliveryAsync)],
        },
        new()
        {
            Name = "A handler that never takes it",
            OpenAI = o => o.Model = "gpt-test",
            Queue = o => o.DeliveryMaxAge = TimeSpan.FromMilliseconds(1),
            HandlerRefuses = _ => true,
            DeliveryIsAbandoned = true,
            MustPass = [.. Journey[..4], nameof(IQueueStore.AbandonDeliveryAsync)],
        },
        new()
        {
            Name = "A host that stops",
            OpenAI = SeldomPolled,
            Command = "\n/slow 2",
            StopsAt = Look,
            MustPass = [nameof(IQueueStore.ReleaseAsync), nameof(IQueueStore.LeaveAsync)],
        },
        new()
        {
            Name = "Responses, another message joins at a tool's round",
            OpenAI = o => o.Model = "gpt-test",
            Command = "\n/tool look {}",
            HasTool = true,
            HasFollower = true,
            FollowerDoes = BusyAction.Steer,
            FollowsAt = ["tool"],
            MustPass = [.. Journey, nameof(IQueueStore.JoinAsync), Post, "tool"],
        },
        new()
        {
            Name = "Assistants, a tool that needs an approval",
            OpenAI = o => o.AssistantId = "asst_test",
            Command = "\n/tool look {}",
            HasTool = true,
            NeedsApproval = true,
            MustPass = [.. Journey, nameof(IQueueStore.ReleaseAsync), PostRun, "POST /v1/threads/*/runs/*/submit_tool_outputs", "tool"],
        },
        new()
        {
            Name = "Responses, another message interrupts",
            OpenAI = SeldomPolled,
            Command = "\n/slow 3",
            HasFollower = true,
            FollowerDoes = BusyAction.Interrupt,
            // An heir may find the whole reply where the conversation is read.
            FollowsAt = [Look, "GET /v1/conversations/*/items"],
            MustPass = [.. Journey, nameof(IQueueStore.ReleaseAsync), Post, "POST /v1/responses/*/cancel"],
        },
        new()
        {
            Name = "Assistants, another message interrupts",
            OpenAI = o => o.AssistantId = "asst_test",
            Command = "\n/slow 5",
            HasFollower = true,
            FollowerDoes = BusyAction.Interrupt,
            FollowsAt = [LookAtRun],
            MustPass = [.. Journey, nameof(IQueueStore.ReleaseAsync), PostRun, "POST /v1/threads/*/runs/*/cancel"],
        },
    ];
}
