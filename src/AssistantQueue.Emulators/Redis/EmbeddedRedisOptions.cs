namespace AssistantQueue.Emulators;

/// <summary>Where the embedded Redis listens and keeps its data. Bound to <c>AssistantQueue:Emulators:Redis</c> by <c>UseEmbeddedRedis()</c>.</summary>
public sealed class EmbeddedRedisOptions
{
    /// <summary>Gets or sets the TCP port on 127.0.0.1.</summary>
    /// <value>The default is 0: a free one is picked (see <see cref="EmbeddedRedis.Port"/>).</value>
    public int Port { get; set; }

    /// <summary>Gets or sets the folder that holds the data. What was acknowledged before a kill of the process is in it (see the remarks of <see cref="EmbeddedRedis"/> for a script that the kill interrupts).</summary>
    /// <remarks>One running instance a folder. The folder is made when it is missing. The working set must fit in memory all the same.</remarks>
    /// <value>The default is <see langword="null"/>: in memory only, gone when the process ends. <c>UseEmbeddedRedis()</c> takes the folder <c>redis</c> below <c>AssistantQueue:Emulators:DataDirectory</c> when that is set.</value>
    public string? DataDirectory { get; set; }
}
