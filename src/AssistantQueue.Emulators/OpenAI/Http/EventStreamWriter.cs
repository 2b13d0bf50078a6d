using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.Emulators;

/// <summary>Writes an event log to a client as server-sent events, and breaks the stream where a fault says so.</summary>
internal static class EventStreamWriter
{
    /// <summary>Returns false when the stream didn't reach its end, because of the client or of a fault.</summary>
    public static async Task<bool> WriteAsync(HttpContext http, StreamAnswer answer, OpenAIFault? fault, CancellationToken cancellationToken)
    {
        var response = http.Response;
        response.ContentType = "text/event-stream; charset=utf-8";
        response.Headers.CacheControl = "no-cache";
        await response.StartAsync(cancellationToken).ConfigureAwait(false);

        var position = answer.From;
        for (var sent = 0; ; sent++, position++)
        {
            if (sent >= fault?.AfterEvents && fault.Kind is OpenAIFaultKind.EndStream)
            {
                return false;
            }

            if (sent >= fault?.AfterEvents && fault.Kind is OpenAIFaultKind.ErrorInStream)
            {
                await WriteAsync(response, "error", Wire.Utf8(ErrorOf(fault, answer, position)), cancellationToken).ConfigureAwait(false);
                return false;
            }

            if (sent >= fault?.AfterEvents && fault.Kind is OpenAIFaultKind.CutStream)
            {
                answer.Lost?.Invoke();
                // not: http.Abort(), whose reset makes the client forget events that it has received but not read
                throw new StreamCutException();
            }

            SentEvent? next;
            try
            {
                if (sent >= fault?.AfterEvents && fault.Kind is OpenAIFaultKind.HangStream)
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false);
                }

                next = await answer.Events.ReadAsync(position, cancellationToken).ConfigureAwait(false);
                if (next is null)
                {
                    break;
                }

                await WriteAsync(response, next.Name, next.Data, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
                answer.Lost?.Invoke();
                return false;
            }
        }

        if (answer.EndsWithDone)
        {
            await WriteAsync(response, "done", "[DONE]"u8.ToArray(), cancellationToken).ConfigureAwait(false);
        }

        return true;
    }

    private static JsonObject ErrorOf(OpenAIFault fault, StreamAnswer answer, int position)
    {
        var error = new JsonObject { ["type"] = fault.Type, ["code"] = fault.Code, ["message"] = fault.Message, ["param"] = fault.Param };
        if (!answer.EndsWithDone)
        {
            error["type"] = "error";
            error["sequence_number"] = position;
        }

        return error;
    }

    private static async Task WriteAsync(HttpResponse response, string name, byte[] data, CancellationToken cancellationToken)
    {
        byte[] frame = [.. "event: "u8, .. System.Text.Encoding.UTF8.GetBytes(name), .. "\ndata: "u8, .. data, .. "\n\n"u8];
        await response.Body.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        await response.Body.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>Ends a request in the middle of its answer: the server closes the connection without the body's end.</summary>
internal sealed class StreamCutException() : Exception("The stream was cut by a fault.");
