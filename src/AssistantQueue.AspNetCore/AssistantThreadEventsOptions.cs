namespace AssistantQueue.AspNetCore;

/// <summary>How <c>MapAssistantThreadEvents()</c> serves a thread's updates.</summary>
public sealed class AssistantThreadEventsOptions
{
    /// <summary>Gets or sets the name of the queue whose threads are served.</summary>
    /// <value>The default is empty: the unnamed queue.</value>
    public string QueueName { get; set; } = "";

    /// <summary>Gets or sets how long a stream is silent before a comment is sent, so that proxies keep it open and a client that has gone is noticed.</summary>
    /// <remarks>Too small: traffic for nothing. Too large: proxies cut the stream, most after 60 seconds.</remarks>
    /// <value>The default is 15 seconds; 100 milliseconds to 10 minutes.</value>
    public TimeSpan HeartbeatInterval { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Gets or sets how long a browser waits before it connects again, sent with the stream's events.</summary>
    /// <value>The default is 2 seconds; zero to 10 minutes.</value>
    public TimeSpan ReconnectionInterval { get; set; } = TimeSpan.FromSeconds(2);

    internal void Validate()
    {
        if (HeartbeatInterval < TimeSpan.FromMilliseconds(100) || HeartbeatInterval > TimeSpan.FromMinutes(10))
        {
            throw new ArgumentException($"{nameof(HeartbeatInterval)} is {HeartbeatInterval}; it must be 100 milliseconds to 10 minutes.");
        }

        if (ReconnectionInterval < TimeSpan.Zero || ReconnectionInterval > TimeSpan.FromMinutes(10))
        {
            throw new ArgumentException($"{nameof(ReconnectionInterval)} is {ReconnectionInterval}; it must be zero to 10 minutes.");
        }
    }
}
