using System.Runtime.InteropServices;

namespace AssistantQueue.TestHost;

/// <summary>Linux signals to processes that tests started.</summary>
public static partial class ProcessSignals
{
    /// <summary>SIGTERM: asks a process to stop.</summary>
    /// <param name="processId">The process.</param>
    public static void Terminate(int processId) => Send(processId, 15);

    /// <summary>SIGSTOP: the process stands still and knows nothing of it.</summary>
    /// <param name="processId">The process.</param>
    public static void Freeze(int processId) => Send(processId, 19);

    /// <summary>SIGCONT: the process goes on.</summary>
    /// <param name="processId">The process.</param>
    public static void Thaw(int processId) => Send(processId, 18);

    private static void Send(int processId, int signal)
    {
        if (Kill(processId, signal) != 0)
        {
            throw new InvalidOperationException($"Signal {signal} could not be sent to process {processId}: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int processId, int signal);
}
