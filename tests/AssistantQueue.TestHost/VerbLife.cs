using System.Runtime.InteropServices;

namespace AssistantQueue.TestHost;

/// <summary>How a verb tells the test that it is up, and learns that it should end.</summary>
internal static class VerbLife
{
    /// <summary>Prints what <see cref="TestHostProcess.StartAsync"/> waits for.</summary>
    public static void Ready(string value) => Console.WriteLine(TestHostProcess.ReadyMark + value);

    /// <summary>Ends at SIGTERM, or when standard input closes: then the test's process is gone.</summary>
    public static async Task UntilToldToEndAsync()
    {
        var ended = new TaskCompletionSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            ended.TrySetResult();
        });
        await Task.WhenAny(ended.Task, Task.Run(Console.In.ReadToEnd));
    }
}
