using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using AssistantQueue.OpenAI.Content;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.OpenAI.Client;

/// <summary>Makes one call, once, and reads what comes back: an object, or a stream of events. Fails with <see cref="ApiCallException"/> only, or because it was cancelled.</summary>
internal sealed class ApiCalls(TimeProvider time, string? secret = null)
{
    /// <summary>Makes a call whose answer is one JSON object.</summary>
    public async Task<JsonElement> SendAsync(Func<RequestOptions, Task<ClientResult>> call, CancellationToken cancellationToken)
    {
        var response = await CallAsync(call, isStream: false, cancellationToken);
        using (response)
        {
            return Parse(response.Status, response.Content.ToMemory().Span);
        }
    }

    /// <summary>Makes a call whose answer is the first page of a list.</summary>
    public Task<JsonElement> FirstPageAsync(Func<RequestOptions, AsyncCollectionResult> call, CancellationToken cancellationToken) =>
        SendAsync(
            async options =>
            {
                await foreach (var page in call(options).GetRawPagesAsync().WithCancellation(cancellationToken))
                {
                    return page;
                }

                throw ApiCallException.Garbage(200, "had no page");
            },
            cancellationToken);

    /// <summary>Makes a call whose answer is a stream. Ends when the stream ends: whether the run is over is for the caller to see from the events.</summary>
    public async IAsyncEnumerable<StreamEvent> StreamAsync(Func<RequestOptions, Task<ClientResult>> call, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var response = await CallAsync(call, isStream: true, cancellationToken);
        if (!response.Headers.TryGetValue("content-type", out var type) || type?.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase) != true)
        {
            // a server that doesn't stream answers with the object itself
            var body = await GuardedAsync(async () => await response.BufferContentAsync(cancellationToken), static () => true, cancellationToken);
            yield return new StreamEvent("", Parse(response.Status, body.ToMemory().Span));
            yield break;
        }

        await using var stream = response.ContentStream ?? throw ApiCallException.Garbage(response.Status, "had no content");
        await using var events = SseParser.Create(stream).EnumerateAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (await GuardedAsync(async () => await events.MoveNextAsync(), static () => true, cancellationToken))
        {
            if (events.Current.Data == "[DONE]")
            {
                yield break;
            }

            var data = Parse(response.Status, System.Text.Encoding.UTF8.GetBytes(events.Current.Data));
            yield return new StreamEvent(events.Current.EventType is "message" ? data.Text("type") ?? "" : events.Current.EventType, data);
        }
    }

    private async Task<PipelineResponse> CallAsync(Func<RequestOptions, Task<ClientResult>> call, bool isStream, CancellationToken cancellationToken)
    {
        var options = new RequestOptions { CancellationToken = cancellationToken, BufferResponse = !isStream, ErrorOptions = ClientErrorBehaviors.NoThrow };
        var handOver = new HandOverPolicy();
        options.AddPolicy(new OneTryPolicy(time, secret, handOver), PipelinePosition.PerTry);
        options.AddPolicy(handOver, PipelinePosition.BeforeTransport);
        return await GuardedAsync(async () => (await call(options)).GetRawResponse(), () => handOver.IsDone, cancellationToken);
    }

    private static async Task<T> GuardedAsync<T>(Func<Task<T>> work, Func<bool> wasHandedOver, CancellationToken cancellationToken)
    {
        try
        {
            return await work();
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw TransportFailure.From(exception, wasHandedOver());
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw new OperationCanceledException("The call was cancelled.", exception, cancellationToken);
        }
    }

    private static JsonElement Parse(int status, ReadOnlySpan<byte> body)
    {
        try
        {
            var root = JsonElement.Parse(body);
            return root.ValueKind == JsonValueKind.Object ? root : throw ApiCallException.Garbage(status, "is no JSON object");
        }
        catch (JsonException exception)
        {
            throw ApiCallException.Garbage(status, $"of {body.Length:N0} bytes is no JSON", exception);
        }
    }
}

/// <summary>An event of a stream.</summary>
/// <param name="Type">Its name; empty when the server answered with the object itself instead of a stream.</param>
/// <param name="Data">Its JSON.</param>
internal sealed record StreamEvent(string Type, JsonElement Data);
