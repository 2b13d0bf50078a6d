using Microsoft.Extensions.AI;

namespace AssistantQueue.ChatClient;

/// <summary>One request to a model: its updates one by one, then the whole answer. What the client throws is told in the queue's words. Also compiled into AssistantQueue.Agents.</summary>
internal sealed class ChatStream : IAsyncDisposable
{
    private readonly Func<Exception, AssistantBackendException> _failure;
    private readonly CancellationToken _cancellationToken;
    private readonly List<ChatResponseUpdate> _updates = [];
    private readonly FinishReasons _finishReasons;
    private readonly IAsyncEnumerator<ChatResponseUpdate> _stream;
    private bool _saysWhyItStopped;

    /// <param name="send">Sends the request.</param>
    /// <param name="failure">Says what an exception of the client means.</param>
    /// <param name="finishReasons">Which of the backend's models say why they stopped.</param>
    /// <param name="cancellationToken">Ends the request.</param>
    /// <exception cref="AssistantBackendException">The client refused at once.</exception>
    public ChatStream(
        Func<IAsyncEnumerable<ChatResponseUpdate>> send, Func<Exception, AssistantBackendException> failure, FinishReasons finishReasons, CancellationToken cancellationToken)
    {
        (_failure, _finishReasons, _cancellationToken) = (failure, finishReasons, cancellationToken);
        try
        {
            _stream = send().GetAsyncEnumerator(cancellationToken);
        }
        catch (Exception e) when (IsFailure(e))
        {
            throw failure(e);
        }
    }

    /// <summary>The next update; null when there are no more.</summary>
    /// <exception cref="AssistantBackendException">The client failed.</exception>
    public async ValueTask<ChatResponseUpdate?> NextAsync()
    {
        try
        {
            if (await _stream.MoveNextAsync())
            {
                _updates.Add(_stream.Current);
                // Of a pipeline that asks the model several times, each answer says it anew.
                _saysWhyItStopped = _stream.Current.FinishReason is not null || (_saysWhyItStopped && !_stream.Current.Contents.Any(c => c is TextContent { Text.Length: > 0 } or FunctionCallContent));
                return _stream.Current;
            }

            return null;
        }
        catch (Exception e) when (IsFailure(e))
        {
            throw _failure(e);
        }
    }

    /// <summary>The answer, once there are no more updates.</summary>
    /// <exception cref="AssistantBackendException">There is none.</exception>
    public ChatResponse Answer()
    {
        var response = _updates.ToChatResponse();
        var contents = response.Messages.SelectMany(m => m.Contents).ToList();
        if (response.FinishReason == ChatFinishReason.ContentFilter)
        {
            throw Refused("content_filter", "The reply was held back by the API's content filter.");
        }

        if (contents.OfType<ToolApprovalRequestContent>().Any())
        {
            throw Refused("approval_in_pipeline", "A tool of the model's own pipeline asks for approval, which nobody can give there; tools that need it are for AddTool.");
        }

        if (contents.OfType<ErrorContent>().FirstOrDefault() is { } error && !contents.OfType<TextContent>().Any(t => t.Text.Length > 0))
        {
            throw Lost(error.ErrorCode, $"The model answered with an error: {error.Message}");
        }

        if (contents.Count == 0 && response.FinishReason is null)
        {
            throw Lost(null, "The model's stream ended without an answer.");
        }

        return _finishReasons.IsMissing(response.ModelId, _saysWhyItStopped)
            ? throw Lost(null, "The model's stream ended early: it doesn't say why it stopped, as this model's answers do.")
            : response;
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private static AssistantBackendException Refused(string code, string message) => new(BackendErrorKind.Permanent, message) { Code = code };

    private AssistantBackendException Lost(string? code, string message) => Coded(_failure(new IOException(message)), code, message);

    private static AssistantBackendException Coded(AssistantBackendException like, string? code, string message) =>
        new(like.Kind, message) { Code = code, IsOutcomeUnknown = like.IsOutcomeUnknown };

    // Of a run that was told to stop, errors say nothing.
    private bool IsFailure(Exception e) => !ChatErrors.IsOurs(e) && !_cancellationToken.IsCancellationRequested;
}
