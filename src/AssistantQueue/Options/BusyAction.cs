namespace AssistantQueue;

/// <summary>What a new message does when a run of its thread is under way.</summary>
public enum BusyAction
{
    /// <summary>It waits, and is answered by the next run.</summary>
    Collect,

    /// <summary>The run is cancelled at the API, and the next run answers its messages and the new one together. Where the run can't be cancelled by its id, and after <see cref="AssistantQueueOptions.MaxInterruptions"/>, the message waits as with <see cref="Collect"/>.</summary>
    Interrupt,

    /// <summary>It is refused with <see cref="ThreadBusyException"/>; nothing is stored.</summary>
    Reject,

    /// <summary>It joins the run when it next hands in tool outputs. Where the backend can't do that, or the run ends first, the message waits as with <see cref="Collect"/>.</summary>
    Steer,
}
