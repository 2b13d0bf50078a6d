namespace AssistantQueue.Store;

/// <summary>The store did not answer in time, can't be reached, or refused the call.</summary>
internal sealed class StoreUnavailableException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>Whether the call may have reached the store; false when it surely changed nothing.</summary>
    public bool MayHaveBeenDone { get; init; }

    /// <summary>Whether the store refused the call and will refuse it again, for example because its memory is full.</summary>
    public bool IsRefusal { get; init; }
}
