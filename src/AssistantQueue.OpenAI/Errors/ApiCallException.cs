namespace AssistantQueue.OpenAI.Errors;

/// <summary>A call was refused, or its answer never came. Stays inside the backend, which turns it into an <see cref="AssistantBackendException"/>.</summary>
internal sealed class ApiCallException(ApiError error, bool mayHaveBeenTaken, Exception? innerException = null)
    : Exception(error.Message, innerException)
{
    public ApiError Error { get; } = error;

    /// <summary>Gets a value indicating whether the API may have done what was asked: only a post needs to care.</summary>
    public bool MayHaveBeenTaken { get; } = mayHaveBeenTaken;

    /// <summary>An answer that came with a good status and can't be understood: the work may be done.</summary>
    public static ApiCallException Garbage(int status, string what, Exception? innerException = null) =>
        new(new() { Status = status, Code = ErrorMap.Garbage, Message = $"The answer {what}." }, mayHaveBeenTaken: true, innerException);
}
