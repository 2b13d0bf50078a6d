namespace AssistantQueue.Store;

/// <summary>The store did not answer in time, or can't be reached; what was asked may have been done.</summary>
internal sealed class StoreUnavailableException(string message, Exception? innerException = null) : Exception(message, innerException);
