using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Lets a multiplexer look which of its servers is the primary, whenever a call makes one doubt it. Thread-safe.</summary>
/// <remarks>
/// By itself it asks a connected server once a minute: after a planned failover, which cuts no connection to the successor, everything would wait for that.
/// </remarks>
internal sealed class RedisTopology(string queueName, TimeProvider time, ILogger logger)
{
    // A look asks each server a few questions; many callers may doubt at once.
    private static readonly TimeSpan AtMostEach = TimeSpan.FromMilliseconds(500);

    private readonly Lock _lock = new();
    private Task _look = Task.CompletedTask;
    private long _begun = long.MinValue;

    /// <summary>Begins to look, unless a look is under way or was begun a moment ago; never throws, never waits.</summary>
    public void Look(IConnectionMultiplexer multiplexer)
    {
        lock (_lock)
        {
            if (_look.IsCompleted && (_begun == long.MinValue || time.GetElapsedTime(_begun) >= AtMostEach))
            {
                _begun = time.GetTimestamp();
                _look = Task.Run(() => LookAsync(multiplexer));
            }
        }
    }

    private async Task LookAsync(IConnectionMultiplexer multiplexer)
    {
        try
        {
            await multiplexer.ConfigureAsync();
        }
        catch (Exception e)
        {
            // Whatever it is, the next call that fails asks again.
            Log.RedisNotLookedAt(logger, queueName, e);
        }
    }
}
