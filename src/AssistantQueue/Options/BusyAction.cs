namespace AssistantQueue;

/// <summary>What a new message does when a run of its thread is under way.</summary>
/// <remarks>A run is under way from its start until its batch is answered or given up: also while it waits for an approval, for its next attempt or for another worker, once the API has messages of its batch, or may have.</remarks>
public enum BusyAction
{
    /// <summary>It waits, and is answered by the next run.</summary>
    Collect,

    /// <summary>The run is cancelled at the API, and the next run answers its messages and the new one together. Where the run can't be cancelled by its id, after <see cref="AssistantQueueOptions.MaxInterruptions"/>, and when the message doesn't fit into one batch with the run's, it waits as with <see cref="Collect"/>. Nobody's approval is waited for any more: calls that wait for one are rejected in each of these cases but the last, so that the run goes on and ends, and the thread can be reached.</summary>
    Interrupt,

    /// <summary>It is refused with <see cref="ThreadBusyException"/>; nothing is stored.</summary>
    Reject,

    /// <summary>It joins the run when it next hands in tool outputs. Where the backend can't do that, the run ends first, or its batch is full, the message waits as with <see cref="Collect"/>.</summary>
    Steer,
}
