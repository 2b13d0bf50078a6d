namespace AssistantQueue;

/// <summary>The settings of one queue. Bound to the configuration section <c>AssistantQueue</c>, or <c>AssistantQueue:Queues:&lt;name&gt;</c> for a named queue.</summary>
/// <remarks>Delay, window, concurrency, backoff, limits and instructions are read anew for each use, so they can change while the host runs; connection, prefix and partitions are read once.</remarks>
public sealed class AssistantQueueOptions
{
    /// <summary>The configuration section of the unnamed queue.</summary>
    public const string SectionName = "AssistantQueue";

    /// <summary>Gets or sets where Redis is: StackExchange.Redis syntax, or a <c>redis://</c> or <c>rediss://</c> URL.</summary>
    /// <remarks>
    /// Not needed when an <c>IConnectionMultiplexer</c> is in DI. The thread pool serves such a one: an app that blocks its pool for longer than
    /// <see cref="LockDuration"/> loses its conversations to other workers, unless it sets StackExchange.Redis' feature flag <c>DedicatedThreads</c> before
    /// it makes the multiplexer.
    /// </remarks>
    /// <value>The default is <c>ConnectionStrings:redis</c>.</value>
    public string? RedisConnectionString { get; set; }

    /// <summary>Gets or sets how long an enqueue waits for a Redis that can't be reached before it throws <see cref="QueueUnavailableException"/>.</summary>
    /// <remarks>From 100 milliseconds to 5 minutes. Too small: a passing hiccup becomes an error of the caller's. Too large: callers hang while Redis is away.</remarks>
    /// <value>The default is 5 seconds.</value>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how far a message must have got before an enqueue completes. <c>Replicas(n)</c> costs a round trip to the replicas a call and uses a connection of its own.</summary>
    /// <value>The default is <c>Primary</c>.</value>
    public Durability Durability { get; set; }

    /// <summary>Gets or sets what the names of the queue's keys begin with. Two queues on one Redis need two prefixes.</summary>
    /// <remarks>1 to 100 characters, no white space. Changing it leaves what is stored under the old one.</remarks>
    /// <value>The default is <c>assistant</c>, or <c>assistant-&lt;name&gt;</c> for a named queue. No braces.</value>
    public string QueuePrefix { get; set; } = "assistant";

    /// <summary>Gets or sets how many shares the queue's threads are spread over; one lies in one Redis Cluster slot. Fixed once the queue has stored something.</summary>
    /// <remarks>1 to 1,024. One serves a single Redis; more let a queue use all masters of a Redis Cluster, at the price of a thread and a subscription each in every worker, and of a call to Redis every third of <see cref="LockDuration"/>.</remarks>
    /// <value>The default is 1.</value>
    public int Partitions { get; set; } = 1;

    /// <summary>Gets or sets a value indicating whether this process runs batches; false makes it a producer only.</summary>
    /// <value>The default is true.</value>
    public bool RunWorker { get; set; } = true;

    /// <summary>Gets or sets how long a thread's first message waits for others.</summary>
    /// <remarks>Zero to 30 days; a message can have its own (<see cref="AssistantMessage.Delay"/>). Too small: two runs for one thought. Too large: slow replies.</remarks>
    /// <value>The default is 10 seconds.</value>
    public TimeSpan MessageDelay { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Gets or sets from when the delay counts.</summary>
    /// <value>The default is <see cref="WindowKind.Fixed"/>.</value>
    public WindowKind Window { get; set; } = WindowKind.Fixed;

    /// <summary>Gets or sets the end of a sliding window, and of the time for which <see cref="IAssistantMessageQueue.NotifyTypingAsync"/> holds a thread back, from its oldest message on.</summary>
    /// <remarks>At least <see cref="MessageDelay"/>, up to 30 days; with <see cref="WindowKind.Fixed"/> it may be less, and then typing holds nothing back. Too small: the window slides no more. Too large: who keeps typing is never answered.</remarks>
    /// <value>The default is 60 seconds.</value>
    public TimeSpan MaxMessageDelay { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Gets or sets the most messages of a batch; a thread that has them is due at once.</summary>
    /// <remarks>1 to 10,000. Too small: one thought is answered in pieces. Too large: inputs that the model loses track of.</remarks>
    /// <value>The default is 100.</value>
    public int MaxBatchMessages { get; set; } = 100;

    /// <summary>Gets or sets the most characters of a batch; a thread that has them is due at once. A single longer message is a batch of its own.</summary>
    /// <remarks>1 to 10,485,760. Too small: one thought is answered in pieces. Too large: inputs beyond the model's context fail. Pictures and files don't count.</remarks>
    /// <value>The default is 200,000.</value>
    public int MaxBatchCharacters { get; set; } = 200_000;

    /// <summary>Gets or sets the most messages that a thread may have waiting; beyond it enqueue throws <see cref="ThreadFullException"/>.</summary>
    /// <remarks><see cref="MaxBatchMessages"/> to 1,000,000. Too small: bursts are refused. Too large: a runaway sender fills Redis.</remarks>
    /// <value>The default is 1,000.</value>
    public int MaxPendingMessages { get; set; } = 1_000;

    /// <summary>Gets or sets how many runs of one batch are tried.</summary>
    /// <remarks>1 to 100. Too small: passing troubles of the API end in the failed store. Too large: a hopeless batch holds its thread up for long. Waiting for a busy thread, a pausing backend or a stopping worker is no attempt.</remarks>
    /// <value>The default is 3.</value>
    public int MaxAttempts { get; set; } = 3;

    /// <summary>Gets or sets how many processes may die with one batch before it is given up.</summary>
    /// <remarks>1 to 100. Too small: bad luck looks like poison. Too large: a poisonous batch kills more processes.</remarks>
    /// <value>The default is 3.</value>
    public int MaxDeaths { get; set; } = 3;

    /// <summary>Gets or sets the pause between attempts.</summary>
    public BackoffOptions Backoff { get; set; } = new();

    /// <summary>Gets or sets how many runs this process has at a time.</summary>
    /// <remarks>1 to 10,000. Too small: threads wait for a free slot. Too large: the API's rate limit is reached, and memory.</remarks>
    /// <value>The default is 5.</value>
    public int Concurrency { get; set; } = 5;

    /// <summary>Gets or sets the instructions of runs none of whose messages has any.</summary>
    /// <remarks>At most 256,000 characters. Sealed into a batch when it is first run.</remarks>
    /// <value>The default is none.</value>
    public string? DefaultInstructions { get; set; }

    /// <summary>Gets or sets how a batch's messages become the model's input.</summary>
    /// <value>The default is <see cref="MessageCombination.SeparateMessages"/>.</value>
    public MessageCombination Combine { get; set; } = MessageCombination.SeparateMessages;

    /// <summary>Gets or sets what a new message does when a run of its thread is under way; a message can have its own (<see cref="AssistantMessage.WhenBusy"/>).</summary>
    /// <value>The default is <see cref="BusyAction.Collect"/>.</value>
    public BusyAction WhenBusy { get; set; } = BusyAction.Collect;

    /// <summary>Gets or sets how often newer messages may interrupt one batch; after that they wait.</summary>
    /// <remarks>Zero to 100. Too small: people read answers to what they have taken back. Too large: who keeps typing is never answered, and cancelled runs are paid for.</remarks>
    /// <value>The default is 3.</value>
    public int MaxInterruptions { get; set; } = 3;

    /// <summary>Gets or sets a rule that says by a message's text whether its thread's waiting messages are due at once, like <see cref="AssistantMessage.Flush"/>: for example a text that ends with a question mark.</summary>
    /// <remarks>Set in code; called in the producer's process for each message, so it should be quick and must be thread-safe. What it throws is thrown to the caller, and nothing is stored.</remarks>
    /// <value>The default is null: never.</value>
    public Func<string, bool>? FlushWhen { get; set; }

    /// <summary>Gets or sets how tool calls are made.</summary>
    public ToolOptions Tools { get; set; } = new();

    /// <summary>Gets or sets how long a worker owns a thread without renewing.</summary>
    /// <remarks>3 seconds to 10 minutes; renewed at a third of it. Too small: a pause of the process or of Redis costs a run its thread. Too large: a dead worker's threads wait that long.</remarks>
    /// <value>The default is 30 seconds.</value>
    public TimeSpan LockDuration { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets how long a run may take from its start, over adoptions too; then it is cancelled at the API and counts as a failed attempt.</summary>
    /// <remarks>At least <see cref="UnknownOutcomeWait"/>, up to a day. Too small: long answers are thrown away and paid for again. Too large: a run that hangs holds its thread and a slot.</remarks>
    /// <value>The default is 5 minutes.</value>
    public TimeSpan RunTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets how long a post of unknown outcome is looked for before it is posted again: the waiting between the looks, by one owner or by several in turn.</summary>
    /// <remarks>Zero to an hour. Too small: a run that shows late is posted again. Too large: threads wait longer after a crash in the wrong moment.</remarks>
    /// <value>The default is 60 seconds.</value>
    public TimeSpan UnknownOutcomeWait { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Gets or sets what happens when the conversation no longer exists at the API.</summary>
    /// <value>The default is <see cref="ConversationGoneAction.StartNew"/>.</value>
    public ConversationGoneAction WhenConversationGone { get; set; } = ConversationGoneAction.StartNew;

    /// <summary>Gets or sets a value indicating whether answered batches are forgotten; false keeps them for <see cref="CompletedRetention"/>.</summary>
    /// <value>The default is true.</value>
    public bool RemoveOnComplete { get; set; } = true;

    /// <summary>Gets or sets how long answered batches are kept when <see cref="RemoveOnComplete"/> is false; at most 1,000 a partition.</summary>
    /// <remarks>From 1 second.</remarks>
    /// <value>The default is 24 hours.</value>
    public TimeSpan CompletedRetention { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Gets or sets how long a message id is recognised when it is enqueued again.</summary>
    /// <remarks>Each id is a key of its own for this long. Too small: a channel's late repetition is answered twice. Too large: memory.</remarks>
    /// <value>The default is 24 hours; zero recognises none.</value>
    public TimeSpan DeduplicationWindow { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Gets or sets how long a thread's last 20 replies are kept for callers that wait.</summary>
    /// <remarks>From 1 second. Too small: a caller that looks late gets <see cref="ReplyExpiredException"/>. Too large: memory, up to 20 replies a thread.</remarks>
    /// <value>The default is 1 hour.</value>
    public TimeSpan ReplyRetention { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Gets or sets how long failed batches are kept; at most 10,000 a partition.</summary>
    /// <remarks>From 1 second. Too small: failures are gone before anybody looks. Too large: memory.</remarks>
    /// <value>The default is 30 days.</value>
    public TimeSpan FailedRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Gets or sets how long a thread's conversation is remembered after its last reply.</summary>
    /// <remarks>From 1 second. Too small: the model forgets a conversation that rested. Too large, or null: memory, one small key a thread.</remarks>
    /// <value>The default is null: for ever.</value>
    public TimeSpan? ConversationRetention { get; set; }

    /// <summary>Gets or sets how long a reply or failure is offered to handlers that fail before it goes to the failed store.</summary>
    /// <remarks>From 1 second. Too small: a handler that was down for a night loses replies to the failed store. Too large: a reply that no handler can take holds up its thread's later ones.</remarks>
    /// <value>The default is 24 hours.</value>
    public TimeSpan DeliveryMaxAge { get; set; } = TimeSpan.FromHours(24);

    /// <summary>What could not be read from the configuration; told together with the validator's faults.</summary>
    internal IList<string> Faults { get; } = [];
}

/// <summary>The pause between attempts, with the meaning of Polly's retry options.</summary>
public sealed class BackoffOptions
{
    /// <summary>Gets or sets how the pause grows.</summary>
    /// <value>The default is <see cref="BackoffKind.Exponential"/>.</value>
    public BackoffKind Type { get; set; } = BackoffKind.Exponential;

    /// <summary>Gets or sets the first pause.</summary>
    /// <value>The default is 5 seconds.</value>
    public TimeSpan Delay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets the longest pause, and the longest <c>Retry-After</c> that is believed.</summary>
    /// <value>The default is 5 minutes.</value>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets a value indicating whether pauses are spread at random, so that what failed together does not come back together.</summary>
    /// <value>The default is true.</value>
    public bool UseJitter { get; set; } = true;
}

/// <summary>How the pause between attempts grows.</summary>
public enum BackoffKind
{
    /// <summary>Doubles each time.</summary>
    Exponential,

    /// <summary>Stays the same.</summary>
    Fixed,
}

/// <summary>From when a thread's delay counts.</summary>
public enum WindowKind
{
    /// <summary>From the oldest waiting message.</summary>
    Fixed,

    /// <summary>From the newest, up to <see cref="AssistantQueueOptions.MaxMessageDelay"/> after the oldest.</summary>
    Sliding,
}

/// <summary>How a batch's messages become the model's input.</summary>
public enum MessageCombination
{
    /// <summary>Each message is a user message of its own.</summary>
    SeparateMessages,

    /// <summary>One user message, joined by a blank line.</summary>
    SingleMessage,
}

/// <summary>What happens when the conversation no longer exists at the API.</summary>
public enum ConversationGoneAction
{
    /// <summary>A new conversation is begun with the batch.</summary>
    StartNew,

    /// <summary>The batch goes to the failed store.</summary>
    Fail,
}
