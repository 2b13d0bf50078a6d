using System.Globalization;

namespace AssistantQueue.Emulators;

/// <summary>The command line of the Garnet server inside: what makes it behave as the queue's scripts need it.</summary>
internal static class GarnetArguments
{
    /// <summary>The arguments for one port, in memory only when <paramref name="dataDirectory"/> is null.</summary>
    public static string[] For(int port, string? dataDirectory)
    {
        string[] common =
        [
            "--bind", "127.0.0.1", "--port", port.ToString(CultureInfo.InvariantCulture),
            // Without transaction mode scripts of two connections run into each other: 13,587 of 16,001 increments arrived.
            "--lua", "--lua-transaction-mode",
            // The native device needs libaio and ends the process where that is missing.
            "--device-type", "RandomAccess",
            // Deleted and expired records give their space back; without it the log only grows.
            "--reviv", "--expired-key-deletion-scan-freq", "60",
            // The default of 128 MB is made for a million keys and more; it grows by itself.
            "--index", "16m",
            "-q", "--disable-console-logger",
        ];

        return dataDirectory is null
            ? common
            :
            [
                .. common,
                // An answer is sent when its write is on disk.
                "--aof", "--aof-commit-wait",
                "--checkpointdir", dataDirectory, "--recover", "--fail-on-recovery-error",
                // A checkpoint cuts the log when it passes the limit; files are removed a segment at a time (the default of 1 GB would keep them all).
                "--aof-segment-size", "64m", "--aof-size-limit", "256m",
            ];
    }
}
