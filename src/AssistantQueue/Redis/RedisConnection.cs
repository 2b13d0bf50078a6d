using System.Net;
using AssistantQueue.Store;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>One queue's way to Redis: a multiplexer of its own that connects in the background and comes back by itself, or the app's. Thread-safe.</summary>
internal sealed class RedisConnection : IAsyncDisposable, IDisposable
{
    // The events of the multiplexer wake the waiting; this look bounds the damage should one be lost.
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(250);

    private readonly string _queueName;
    private readonly Func<Task<IConnectionMultiplexer>> _connect;
    private readonly bool _isOwn;
    private readonly TimeSpan _connectTimeout;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RedisTopology _topology;
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stopped = new();
    private Task? _connecting;
    private IConnectionMultiplexer? _multiplexer;
    private TaskCompletionSource _changed = NewSignal();
    private long _firstTried;
    private long _lastBreak = long.MinValue;
    private bool _wasConnected;
    private string? _lastError;

    private RedisConnection(string queueName, Func<Task<IConnectionMultiplexer>> connect, bool isOwn, TimeSpan connectTimeout, TimeProvider time, ILogger logger)
    {
        (_queueName, _connect, _isOwn, _connectTimeout, _time, _logger) = (queueName, connect, isOwn, connectTimeout, time, logger);
        _topology = new RedisTopology(queueName, time, logger);
    }

    /// <summary>Raised after a lost connection (or one that never was) is there again; announcements may have been missed.</summary>
    public event Action? Restored;

    /// <summary>The multiplexer, connected or not; null before there is one.</summary>
    public IConnectionMultiplexer? Current => Volatile.Read(ref _multiplexer);

    /// <summary>How long Redis has been reachable without a break; <see cref="TimeSpan.MaxValue"/> when it always was, zero when it isn't.</summary>
    public TimeSpan ReachableFor
    {
        get
        {
            lock (_lock)
            {
                return _multiplexer is not { IsConnected: true } ? TimeSpan.Zero
                    : _lastBreak == long.MinValue ? TimeSpan.MaxValue
                    : _time.GetElapsedTime(_lastBreak);
            }
        }
    }

    /// <summary>A connection of the queue's own, made when it is first asked for.</summary>
    /// <exception cref="FormatException">The connection string can't be read.</exception>
    public static RedisConnection Own(string queueName, string connectionString, TimeSpan connectTimeout, TimeProvider time, ILogger logger)
    {
        var options = RedisConnectionString.Parse(connectionString);
        // not: the thread pool serves the sockets (the default)
        // but: an app that blocks its pool would get no answer to a renewal, and lose its leases: none in 6 s without, one a second with (BlockedThreadPoolTests).
        // The switch is the process'; it costs a reader and a writer thread a connection.
        ConnectionMultiplexer.SetFeatureFlag("DedicatedThreads", true);
        options.AbortOnConnectFail = false;
        options.ClientName ??= queueName.Length == 0 ? "AssistantQueue" : "AssistantQueue-" + string.Concat(queueName.Where(char.IsAsciiLetterOrDigit));
        options.ConnectTimeout = (int)Math.Min(options.ConnectTimeout, connectTimeout.TotalMilliseconds);
        // Seconds, not minutes: the default grows to a minute between two tries.
        options.ReconnectRetryPolicy = new ExponentialRetry(250, 2_000);
        return new(queueName, async () => await ConnectionMultiplexer.ConnectAsync(options), isOwn: true, connectTimeout, time, logger);
    }

    /// <summary>The app's own multiplexer, which is never disposed here. Making it may fail and is tried again then.</summary>
    /// <remarks>What serves its sockets is the app's choice; by default it is the thread pool, and who blocks that loses leases (README, Redis).</remarks>
    public static RedisConnection Given(string queueName, Func<IConnectionMultiplexer> multiplexer, TimeSpan connectTimeout, TimeProvider time, ILogger logger) =>
        new(queueName, () => Task.FromResult(multiplexer()), isOwn: false, connectTimeout, time, logger);

    /// <summary>Begins to connect, once; never throws, never waits.</summary>
    public void Start()
    {
        lock (_lock)
        {
            if (_connecting is null && !_stopped.IsCancellationRequested)
            {
                _firstTried = _time.GetTimestamp();
                _connecting = Task.Run(ConnectAsync);
            }
        }
    }

    /// <summary>The connected multiplexer.</summary>
    /// <exception cref="StoreUnavailableException">Redis could not be reached within the queue's connect timeout.</exception>
    public ValueTask<IConnectionMultiplexer> GetAsync(CancellationToken cancellationToken) =>
        Current is { IsConnected: true } connected ? new(connected) : new(WaitAsync(cancellationToken));

    /// <summary>Tells that Redis left a call unanswered although the connection stands: it was not reachable then.</summary>
    public void ReportUnanswered() => MarkBreak();

    /// <summary>Tells that a call failed in a way in which another server may be the primary now: the multiplexer looks, in the background.</summary>
    public void DoubtPrimary()
    {
        if (Current is { } multiplexer && !_stopped.IsCancellationRequested)
        {
            _topology.Look(multiplexer);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Leave() is { } multiplexer)
        {
            await multiplexer.DisposeAsync();
        }
    }

    // For a container that is disposed synchronously.
    public void Dispose() => Leave()?.Dispose();

    /// <summary>Ends everything; what is left to do is to dispose the multiplexer that is returned.</summary>
    private IConnectionMultiplexer? Leave()
    {
        lock (_lock)
        {
            if (_stopped.IsCancellationRequested)
            {
                return null;
            }

            _stopped.Cancel();
        }

        Signal();
        if (Current is not { } multiplexer)
        {
            return null;
        }

        multiplexer.ConnectionFailed -= OnFailed;
        multiplexer.ConnectionRestored -= OnRestored;
        return _isOwn ? multiplexer : null;
    }

    private async Task<IConnectionMultiplexer> WaitAsync(CancellationToken cancellationToken)
    {
        Start();
        var began = _time.GetTimestamp();
        while (true)
        {
            var changed = Volatile.Read(ref _changed).Task;
            ObjectDisposedException.ThrowIf(_stopped.IsCancellationRequested, this);
            if (Current is { IsConnected: true } connected)
            {
                return connected;
            }

            var left = _connectTimeout - _time.GetElapsedTime(began);
            if (left <= TimeSpan.Zero)
            {
                throw new StoreUnavailableException($"Redis at {Where()} could not be reached within {_connectTimeout.TotalSeconds:0.###} s (ConnectTimeout){Why()}.");
            }

            try
            {
                await changed.WaitAsync(left < LookAgain ? left : LookAgain, _time, cancellationToken);
            }
            catch (TimeoutException)
            {
                // Not an error: the loop looks and decides.
            }
        }
    }

    private async Task ConnectAsync()
    {
        while (!_stopped.IsCancellationRequested)
        {
            try
            {
                var multiplexer = await _connect();
                if (!TryAdopt(multiplexer) && _isOwn)
                {
                    await multiplexer.DisposeAsync();
                }

                return;
            }
            catch (Exception e)
            {
                // Anything: the app's own factory may be what throws. The host runs on, and callers get the reason.
                _lastError = e.Message;
                MarkBreak();
                Log.RedisUnreachable(_logger, _queueName, Where(), e.Message);
            }

            try
            {
                await Task.Delay(TimeSpan.FromSeconds(1), _time, _stopped.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    // False when the queue was disposed while the connection was being made.
    private bool TryAdopt(IConnectionMultiplexer multiplexer)
    {
        bool connected;
        lock (_lock)
        {
            if (_stopped.IsCancellationRequested)
            {
                return false;
            }

            multiplexer.ConnectionFailed += OnFailed;
            multiplexer.ConnectionRestored += OnRestored;
            connected = multiplexer.IsConnected;
            _multiplexer = multiplexer;
            _wasConnected |= connected;
            // What a process sees at its start counts as for ever, unless it had to wait for it.
            if (!connected || _time.GetElapsedTime(_firstTried) > _connectTimeout)
            {
                _lastBreak = _time.GetTimestamp();
            }
        }

        if (connected)
        {
            Log.RedisConnected(_logger, _queueName, Where());
        }
        else
        {
            Log.RedisUnreachable(_logger, _queueName, Where(), "no server answered yet");
        }

        Signal();
        return true;
    }

    private void OnFailed(object? sender, ConnectionFailedEventArgs e)
    {
        _lastError = $"{e.FailureType}{(e.Exception is { } cause ? ": " + ShortMessage(cause) : "")}";
        MarkBreak();
        Log.RedisLost(_logger, _queueName, Name(e.EndPoint), e.ConnectionType.ToString(), _lastError);
    }

    private void OnRestored(object? sender, ConnectionFailedEventArgs e)
    {
        MarkBreak();
        _lastError = null;
        bool first;
        lock (_lock)
        {
            first = !_wasConnected;
            _wasConnected = true;
        }

        if (first)
        {
            Log.RedisConnected(_logger, _queueName, Name(e.EndPoint));
        }
        else
        {
            Log.RedisRestored(_logger, _queueName, Name(e.EndPoint), e.ConnectionType.ToString());
        }

        Signal();
        Restored?.Invoke();
    }

    private void MarkBreak()
    {
        lock (_lock)
        {
            _lastBreak = _time.GetTimestamp();
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();

    private string Where() => Current is { } multiplexer ? string.Join(", ", multiplexer.GetEndPoints(configuredOnly: true).Select(Name)) : "its configured address";

    private string Why() => _lastError is { } error ? $"; the last error was {error}" : "";

    internal static string Name(EndPoint? endPoint) => endPoint switch
    {
        DnsEndPoint dns => $"{dns.Host}:{dns.Port}",
        null => "?",
        _ => endPoint.ToString() ?? "?",
    };

    // The multiplexer adds its whole state, line after line and comma after comma.
    private static string ShortMessage(Exception e) => (e.InnerException ?? e).Message.Split(['\n', '\r', ','], 2)[0];

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
