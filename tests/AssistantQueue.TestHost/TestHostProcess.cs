using System.Collections.Concurrent;
using System.Diagnostics;

namespace AssistantQueue.TestHost;

/// <summary>A verb of this program in a process of its own, for tests that kill, freeze or stop it.</summary>
public sealed class TestHostProcess : IAsyncDisposable
{
    /// <summary>What a verb's first line begins with when it is up.</summary>
    internal const string ReadyMark = "ready ";

    // A cold start on a busy machine takes seconds; nobody waits this long unless it hangs.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly ConcurrentQueue<string> _errors = new();
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private TestHostProcess(Process process) => _process = process;

    /// <summary>What the verb printed after "ready", or its address.</summary>
    public string Ready { get; private set; } = "";

    /// <summary>The process id.</summary>
    public int Id => _process.Id;

    /// <summary>Everything that the process has printed so far, standard output only.</summary>
    public IReadOnlyCollection<string> Output => _output;

    /// <summary>Everything that the process has printed to standard error so far: its log.</summary>
    public IReadOnlyCollection<string> Errors => _errors;

    /// <summary>Whether the process is over.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Starts a verb and waits until it says that it is up.</summary>
    /// <param name="arguments">The verb and its arguments.</param>
    /// <returns>The running process.</returns>
    public static Task<TestHostProcess> StartAsync(params string[] arguments) => StartAsync(arguments, environment: null);

    /// <summary>Starts a verb with environment variables of its own and waits until it says that it is up.</summary>
    /// <param name="arguments">The verb and its arguments.</param>
    /// <param name="environment">Variables to set besides the inherited ones.</param>
    /// <returns>The running process.</returns>
    public static async Task<TestHostProcess> StartAsync(string[] arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(DotnetPath(), [typeof(TestHostProcess).Assembly.Location, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var host = new TestHostProcess(process);
        process.OutputDataReceived += (_, e) => host.Heard(host._output, e.Data);
        process.ErrorDataReceived += (_, e) => host.Heard(host._errors, e.Data);
        process.Exited += (_, _) => host.Signal();
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            var line = await host.WaitForLineAsync(SaysReady);
            host.Ready = line.StartsWith(ReadyMark, StringComparison.Ordinal) ? line[ReadyMark.Length..] : line;
            return host;
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits for a line of standard output, past ones included.</summary>
    /// <param name="matches">Which line.</param>
    /// <returns>The line.</returns>
    /// <exception cref="InvalidOperationException">The process ended without printing it.</exception>
    /// <exception cref="TimeoutException">It didn't come within a minute.</exception>
    public async Task<string> WaitForLineAsync(Func<string, bool> matches)
    {
        string? line = null;
        await WaitForAsync(() => (line = _output.FirstOrDefault(matches)) is not null);
        return line!;
    }

    /// <summary>Waits until what the process has printed is as a test wants it, looking after each line.</summary>
    /// <param name="isSo">Looks at <see cref="Output"/> or <see cref="Errors"/>.</param>
    /// <returns>A task that is done when it is so.</returns>
    /// <exception cref="InvalidOperationException">The process ended before.</exception>
    /// <exception cref="TimeoutException">It wasn't so within a minute.</exception>
    public async Task WaitForAsync(Func<bool> isSo)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            var changed = Volatile.Read(ref _changed).Task;
            // Asked before the lines are read: what was printed before the end is seen.
            var over = _process.HasExited;
            if (over)
            {
                // Returns when the redirected streams are read to their ends.
                await _process.WaitForExitAsync(patience.Token);
            }

            if (isSo())
            {
                return;
            }

            if (over)
            {
                throw new InvalidOperationException($"The process ended with {_process.ExitCode} before it printed what was waited for.\n{Everything()}");
            }

            try
            {
                await changed.WaitAsync(patience.Token);
            }
            catch (OperationCanceledException e)
            {
                throw new TimeoutException($"The process didn't print what was waited for within {Patience.TotalSeconds} s.\n{Everything()}", e);
            }
        }
    }

    /// <summary>Waits until the process is over, however it ends.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A task that is done when the process is gone.</returns>
    public Task WaitForExitAsync(CancellationToken cancellationToken) => _process.WaitForExitAsync(cancellationToken);

    /// <summary>SIGKILL: the process gets no chance to do anything.</summary>
    /// <returns>A task that is done when the process is gone.</returns>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM: asks the process to stop, and waits until it has.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> StopAsync()
    {
        ProcessSignals.Terminate(_process.Id);
        await _process.WaitForExitAsync().WaitAsync(Patience);
        return _process.ExitCode;
    }

    /// <summary>SIGSTOP: the process stands still and knows nothing of it.</summary>
    public void Freeze() => ProcessSignals.Freeze(_process.Id);

    /// <summary>SIGCONT: the process goes on after <see cref="Freeze"/>.</summary>
    public void Thaw() => ProcessSignals.Thaw(_process.Id);

    /// <summary>Kills the process if it is still there.</summary>
    /// <returns>A task that is done when the process is gone.</returns>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }

    // A verb that serves HTTP prints its address.
    private static bool SaysReady(string line) => line.StartsWith(ReadyMark, StringComparison.Ordinal) || line.StartsWith("http://", StringComparison.Ordinal);

    // Tests run under the dotnet host, and so does this.
    private static string DotnetPath() =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) == "dotnet" ? path : "dotnet";

    private string Everything() => string.Join('\n', [.. _output, .. _errors]);

    private void Heard(ConcurrentQueue<string> lines, string? line)
    {
        if (line is not null)
        {
            lines.Enqueue(line);
            Signal();
        }
    }

    private void Signal() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
}
