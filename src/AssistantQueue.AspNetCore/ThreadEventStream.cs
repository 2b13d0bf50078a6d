using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;

namespace AssistantQueue.AspNetCore;

/// <summary>Turns a thread's updates into server-sent events, with a comment whenever there was nothing to say for a while.</summary>
internal static class ThreadEventStream
{
    // A line that begins with a colon is a comment: clients ignore it, proxies and sockets don't.
    private static readonly byte[] Heartbeat = ": \n\n"u8.ToArray();

    /// <summary>The updates as events.</summary>
    /// <param name="updates">An enumerator whose first <c>MoveNextAsync</c> is <paramref name="first"/>. Disposed at the end.</param>
    /// <param name="first">The first step, already begun.</param>
    /// <param name="response">Where comments go: the reader of this sequence writes to it only between two steps, so nobody else does during one.</param>
    /// <param name="settings">Intervals.</param>
    /// <param name="time">The clock of the heartbeats.</param>
    /// <param name="stop">Ends the enumerator's waiting; cancelled here before it is disposed.</param>
    /// <param name="cancellationToken">The reader's own; it is the request's.</param>
    public static async IAsyncEnumerable<SseItem<string>> ToEvents(
        IAsyncEnumerator<ThreadUpdate> updates,
        Task<bool> first,
        HttpResponse response,
        AssistantThreadEventsOptions settings,
        TimeProvider time,
        CancellationTokenSource stop,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var next = first;
        try
        {
            // The headers leave now: a client that watches an idle thread knows at once that it is connected.
            await WriteHeartbeatAsync(response, cancellationToken);
            while (true)
            {
                while (!await EndsWithinAsync(next, settings.HeartbeatInterval, time, stop.Token))
                {
                    await WriteHeartbeatAsync(response, cancellationToken);
                }

                if (stop.IsCancellationRequested || !await next)
                {
                    yield break;
                }

                yield return new SseItem<string>(ThreadEventJson.Serialize(updates.Current), ThreadEventJson.NameOf(updates.Current))
                {
                    EventId = updates.Current.Position,
                    ReconnectionInterval = settings.ReconnectionInterval,
                };
                next = updates.MoveNextAsync().AsTask();
            }
        }
        finally
        {
            // An enumerator must not be disposed in the middle of a step.
            await stop.CancelAsync();
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await updates.DisposeAsync();
        }
    }

    /// <summary>Waits for a step; true when it has ended, whatever way, or the stream is to stop; false when only time has passed.</summary>
    private static async Task<bool> EndsWithinAsync(Task step, TimeSpan interval, TimeProvider time, CancellationToken stop)
    {
        if (step.IsCompleted)
        {
            return true;
        }

        using var passed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var pause = Task.Delay(interval, time, passed.Token);
        var ended = await Task.WhenAny(step, pause);
        await passed.CancelAsync();
        return ended == step || stop.IsCancellationRequested;
    }

    private static async Task WriteHeartbeatAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        await response.Body.WriteAsync(Heartbeat, cancellationToken);
        await response.Body.FlushAsync(cancellationToken);
    }
}
