using Microsoft.Extensions.AI;

namespace AssistantQueue;

/// <summary>The settings of <c>UseChatClient()</c>. Bound to the section <c>ChatClient</c> below the queue's own, for example <c>AssistantQueue:ChatClient</c>; named by the queue. Read before each run.</summary>
public sealed class ChatClientOptions
{
    /// <summary>Gets or sets the model (<see cref="ChatOptions.ModelId"/>), for a client that serves several.</summary>
    /// <remarks>Sealed into a batch when it is first run.</remarks>
    /// <value>The default is none: the client's own.</value>
    public string? Model { get; set; }

    /// <summary>Gets or sets how many messages of earlier turns the model gets with a batch; tool calls, their results and replies count too.</summary>
    /// <remarks>Zero (nothing is remembered) to 10,000. The oldest turns are forgotten first, each as a whole. Too small: the model forgets what was said. Too large: each run costs more, and what the model can't take fails.</remarks>
    /// <value>The default is 100.</value>
    public int MaxHistoryMessages { get; set; } = 100;

    /// <summary>Gets or sets how many characters of earlier turns are kept, counted in the stored JSON (an image counts with its base64).</summary>
    /// <remarks>Zero (nothing is remembered) to 10,485,760. A single turn that is longer is kept without its tool calls, then without its files, then without its oldest messages. The next claim of the thread reads all of it.</remarks>
    /// <value>The default is 200,000: about 50,000 tokens of English.</value>
    public int MaxHistoryCharacters { get; set; } = 200_000;

    /// <summary>Gets or sets what changes the options of a request before it is sent, for example its temperature. In code only.</summary>
    /// <remarks>Called before each request; instructions, model and tools are set already. <see cref="ChatOptions.ConversationId"/> has to stay null: the history is in Redis. What it throws fails the attempt.</remarks>
    /// <value>The default is none.</value>
    public Action<BatchRun, ChatOptions>? ConfigureRequest { get; set; }

    /// <summary>Gets or sets what says what the queue does about an exception of the client; null leaves it to the queue. In code only.</summary>
    /// <remarks>
    /// By itself the queue tells apart: an <see cref="HttpRequestException"/> by its status (401, 403 and 404 pause the whole backend, other 4xx except 408, 409, 425 and 429 are the batch's own fault),
    /// <see cref="ArgumentException"/> and <see cref="NotSupportedException"/> (the batch's own fault); everything else is tried again.
    /// Exceptions of a model's SDK are unknown to it: <c>o.ClassifyError = e =&gt; e is ClientResultException { Status: 401 } ? BackendErrorKind.BackendUnavailable : null</c>.
    /// </remarks>
    /// <value>The default is none.</value>
    public Func<Exception, BackendErrorKind?>? ClassifyError { get; set; }

    /// <summary>Gets what was wrong with values of the configuration.</summary>
    internal IList<string> Faults { get; } = [];
}
