namespace AssistantQueue.OpenAI;

/// <summary>What the backends remember of a thread between runs, and of a batch between attempts.</summary>
internal static class StateNames
{
    /// <summary>The conversation's id, <c>conv_…</c>.</summary>
    public const string Conversation = "conversation";

    /// <summary>The last item that our last run left in the conversation; absent from a post until its reply.</summary>
    public const string LastItem = "last_item";

    /// <summary>The head of a chain of responses.</summary>
    public const string LastResponse = "last_response";

    /// <summary>The thread's id, <c>thread_…</c>.</summary>
    public const string Thread = "thread";

    /// <summary>The last run of ours in the thread; in a journal's notes, the last of the batch.</summary>
    public const string LastRun = "last_run";

    /// <summary>In a journal's notes: the conversation's last item before the batch's first post; empty when it had none.</summary>
    public const string Before = "before";

    /// <summary>Who noted <see cref="Before"/> last: batch and fence. In a journal's notes those of the batch itself; when they differ, another batch has posted since.</summary>
    public const string BeforeOf = "before_of";

    /// <summary>In a journal's notes: the head of the chain within the batch, after an interrupted tool round.</summary>
    public const string Head = "head";

    /// <summary>In a journal's notes: calls in the history that have no output there, each with what to answer; JSON.</summary>
    public const string Owed = "owed";

    /// <summary>In a journal's notes: a post of unknown outcome, by its time, and for how long it was looked for; ticks.</summary>
    public const string Waited = "waited";

    /// <summary>In a journal's notes: the post of unknown outcome, by its time, whose repetition was counted.</summary>
    public const string Counted = "counted";

    /// <summary>In a journal's notes: why an earlier post has ended without leaving what it carried, so far as a look could tell.</summary>
    public const string GivenUp = "given_up";

    /// <summary>In a journal's notes: the tokens used by the rounds before.</summary>
    public const string Usage = "usage";

    /// <summary>In a journal's notes: how often the batch was interrupted by then, and what the model said in the rounds before, beside its calls; JSON.</summary>
    public const string Said = "said";

    /// <summary>In a journal's notes: the API that the journal speaks of.</summary>
    public const string Api = "api";
}
