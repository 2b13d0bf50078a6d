using System.Text;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;

namespace AssistantQueue.Run;

/// <summary>What one run tells while it is under way: kept in a bounded buffer, and published while somebody watches. Thread-safe.</summary>
/// <remarks>
/// Nobody watches most of the time, and then this costs nothing but the buffer. A watcher asks for what it lacks, and asks again every few seconds
/// as long as it watches (<see cref="WatchTime"/>): so lost publications, lost questions and watchers that went away need no further care.
/// </remarks>
internal sealed class LiveReply(string threadId, long fence, IQueueStore store, TimeProvider time, ILogger log)
{
    /// <summary>How long a question counts. Watchers repeat theirs at a third of it.</summary>
    public static readonly TimeSpan WatchTime = TimeSpan.FromSeconds(30);

    /// <summary>How long the run tells without having been asked, when somebody heard of its beginning: a short one would be over before the first question, which may also come too early.</summary>
    private static readonly TimeSpan ExpectTime = TimeSpan.FromSeconds(2);

    // bytes as UTF-8, the most that is kept and so the most of one publication
    private const int MaxKept = 64 * 1024;

    // what an item weighs besides its text
    private const int ItemWeight = 64;

    // a text is cut here, so that the buffer can let go of its beginning
    private const int MaxPiece = 4 * 1024;

    // at most 25 publications a second
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(40);

    // what comes behind the run's end is ignored by watchers, so a slow Redis or a busy machine gets this long
    private static readonly TimeSpan LastPublication = TimeSpan.FromSeconds(5);

    private readonly Lock _sync = new();
    private readonly Queue<LiveItem> _kept = new();
    private readonly StringBuilder _text = new();
    private int _length;
    private int _weight;
    private int _lastIndex;
    private int _droppedThrough;
    private int _publishedThrough;
    private long? _watchedSince;
    private TimeSpan _watchTime;
    private long? _lastPublished;
    private Task _publishing = Task.CompletedTask;

    // what was told before the backend began again, where it begins, and how much of it the backend has told again
    private string? _before;
    private int _beforeAt;
    private int _again;

    private bool _isBehindCall;
    private bool _isApart = true;

    public ValueTask TellAsync(RunUpdate update)
    {
        lock (_sync)
        {
            switch (update)
            {
                case RunTextDelta { Text.Length: > 0 } delta:
                    _text.Append(New(Apart(delta.Text)));
                    if (_text.Length >= MaxPiece)
                    {
                        EndText();
                    }

                    break;
                case RunToolCalled call:
                    _isBehindCall = true;
                    EndText();
                    Keep(new LiveItem { Index = ++_lastIndex, Kind = LiveKind.ToolCalled, CallId = call.CallId, Name = call.Name, Text = call.Arguments });
                    break;
                case RunToolAnswered answer:
                    _isBehindCall = true;
                    EndText();
                    Keep(new LiveItem { Index = ++_lastIndex, Kind = LiveKind.ToolAnswered, CallId = answer.CallId, Name = answer.Name, IsError = answer.IsError });
                    break;
                default:
                    return ValueTask.CompletedTask;
            }

            Publish();
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>The backend begins to tell the same run again: one that tells its text from the beginning says nothing new until it is where it was.</summary>
    public void BeginsAgain()
    {
        lock (_sync)
        {
            EndText();
            _before = string.Concat(KeptTexts);
            (_beforeAt, _again) = (_length - _before.Length, 0);
            (_isBehindCall, _isApart) = (false, true);
        }
    }

    /// <summary>Somebody listens to the thread: most likely a watcher, which asks in a moment.</summary>
    public void Expect()
    {
        lock (_sync)
        {
            (_watchedSince, _watchTime) = (time.GetTimestamp(), ExpectTime);
        }
    }

    /// <summary>A watcher wants what comes after an item, and what comes from now on.</summary>
    public void Ask(int after)
    {
        lock (_sync)
        {
            // What others lack goes out again for all; each watcher leaves out what it has.
            _publishedThrough = Math.Min(IsWatched ? Math.Min(_publishedThrough, after) : after, _lastIndex);
            (_watchedSince, _watchTime) = (time.GetTimestamp(), WatchTime);
            Publish();
        }
    }

    /// <summary>Gets what is kept of the text that the run has written, and where that begins.</summary>
    public (int Offset, string Text) Text
    {
        get
        {
            lock (_sync)
            {
                EndText();
                var text = string.Concat(KeptTexts);
                return (_length - text.Length, text);
            }
        }
    }

    /// <summary>Publishes what is left, before the run's end is told; not for long.</summary>
    public async Task EndAsync()
    {
        Task publishing;
        lock (_sync)
        {
            Publish();
            publishing = _publishing;
        }

        await publishing.WaitAsync(LastPublication, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private bool IsWatched => _watchedSince is { } since && time.GetElapsedTime(since) < _watchTime;

    private bool HasNews => _text.Length > 0 || _publishedThrough < _lastIndex;

    private IEnumerable<string?> KeptTexts => _kept.Where(item => item.Kind == LiveKind.Text).Select(item => item.Text);

    // What the model says after a tool call stands apart from what it said before, as in the reply.
    private string Apart(string text)
    {
        var apart = _isBehindCall && !_isApart ? "\n\n" + text : text;
        (_isBehindCall, _isApart) = (false, text.EndsWith("\n\n", StringComparison.Ordinal));
        return apart;
    }

    // What is new of a text that a backend tells. What isn't kept any more of the text before is taken for the same.
    private string New(string text)
    {
        if (_before is not { } before)
        {
            return text;
        }

        for (var i = 0; i < text.Length; i++)
        {
            var at = _again + i - _beforeAt;
            if (at >= before.Length)
            {
                _before = null;
                return text[i..];
            }

            if (at >= 0 && before[at] != text[i])
            {
                // Another text, which only began like it: what was left out is told now.
                _before = null;
                return before[..at] + text[i..];
            }
        }

        _again += text.Length;
        return "";
    }

    private void EndText()
    {
        if (_text.Length == 0)
        {
            return;
        }

        var text = _text.ToString();
        _text.Clear();
        for (var at = 0; at < text.Length;)
        {
            var end = Math.Min(at + MaxPiece, text.Length);
            end += end < text.Length && char.IsLowSurrogate(text[end]) ? 1 : 0;
            Keep(new LiveItem { Index = ++_lastIndex, Kind = LiveKind.Text, Offset = _length, Text = text[at..end] });
            _length += end - at;
            at = end;
        }
    }

    private void Keep(LiveItem item)
    {
        _kept.Enqueue(item);
        _weight += Weight(item);
        // An item that is too large by itself goes too: watchers are told of the gap.
        while (_weight > MaxKept)
        {
            var oldest = _kept.Dequeue();
            _weight -= Weight(oldest);
            _droppedThrough = oldest.Index;
        }
    }

    private static int Weight(LiveItem item) => ItemWeight + Bytes(item.Text) + Bytes(item.CallId) + Bytes(item.Name);

    private static int Bytes(string? text) => text is null ? 0 : Encoding.UTF8.GetByteCount(text);

    // One publication at a time, so that they arrive in order. What is told meanwhile goes with the next.
    private void Publish()
    {
        if (_publishing.IsCompleted && IsWatched && HasNews)
        {
            _publishing = Task.Run(PublishAsync);
        }
    }

    private async Task PublishAsync()
    {
        try
        {
            while (true)
            {
                if (_lastPublished is { } last && Pause - time.GetElapsedTime(last) is { } rest && rest > TimeSpan.Zero)
                {
                    await Task.Delay(rest, time);
                }

                IReadOnlyList<LiveItem> items;
                lock (_sync)
                {
                    if (!IsWatched || !HasNews)
                    {
                        _publishing = Task.CompletedTask;
                        return;
                    }

                    items = Take();
                }

                _lastPublished = time.GetTimestamp();
                await store.PublishLiveAsync(threadId, fence, items, CancellationToken.None);
            }
        }
        catch (Exception e)
        {
            // Watchers ask again for what they lack.
            Log.LiveNotPublished(log, threadId, e);
            lock (_sync)
            {
                _publishing = Task.CompletedTask;
            }
        }
    }

    private List<LiveItem> Take()
    {
        EndText();
        var items = new List<LiveItem>();
        if (_publishedThrough < _droppedThrough)
        {
            items.Add(new LiveItem { Index = _droppedThrough, Kind = LiveKind.Skipped });
        }

        items.AddRange(_kept.Where(item => item.Index > _publishedThrough));
        _publishedThrough = _lastIndex;
        return items;
    }
}
