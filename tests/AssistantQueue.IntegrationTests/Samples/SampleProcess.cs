using System.Diagnostics;
using System.Text.RegularExpressions;

namespace AssistantQueue.IntegrationTests.Samples;

/// <summary>A built sample as a process of its own; it can be killed, and says what it wrote.</summary>
internal sealed class SampleProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly List<string> _lines = [];
    private readonly SemaphoreSlim _written = new(0);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private SampleProcess(Process process) => _process = process;

    public string Output
    {
        get
        {
            lock (_lines)
            {
                return string.Join('\n', _lines);
            }
        }
    }

    /// <summary>Starts a sample with nothing of the surrounding environment's settings but these, in a folder.</summary>
    public static SampleProcess Start(string sample, IEnumerable<KeyValuePair<string, string>> environment, string? folder = null, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // Not the sample's own folder: it must find its settings and its page from anywhere.
            WorkingDirectory = folder ?? Path.GetTempPath(),
        };
        start.ArgumentList.Add(PathOf(sample));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var name in start.Environment.Keys.Where(IsSetting).ToList())
        {
            start.Environment.Remove(name);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var sampleProcess = new SampleProcess(new Process { StartInfo = start });
        sampleProcess._process.OutputDataReceived += sampleProcess.OnLine;
        sampleProcess._process.ErrorDataReceived += sampleProcess.OnLine;
        sampleProcess._process.Start();
        sampleProcess._process.BeginOutputReadLine();
        sampleProcess._process.BeginErrorReadLine();
        _ = sampleProcess.WatchAsync();
        return sampleProcess;
    }

    /// <summary>Waits until the process has written something that matches.</summary>
    public async Task<Match> SaysAsync(string pattern)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            var match = Regex.Match(Output, pattern);
            if (match.Success)
            {
                return match;
            }

            if (_ended.Task.IsCompleted)
            {
                throw new InvalidOperationException($"The process ended with {_process.ExitCode} and never said '{pattern}':\n{Output}");
            }

            try
            {
                await Task.WhenAny(_written.WaitAsync(limit.Token), _ended.Task).Unwrap();
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"The process didn't say '{pattern}' within {Patience}:\n{Output}");
            }
        }
    }

    /// <summary>Ends the process as a power cut would.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
        _written.Dispose();
    }

    // Completes after the last line was read, too.
    private async Task WatchAsync()
    {
        await _process.WaitForExitAsync();
        _ended.TrySetResult();
    }

    private static bool IsSetting(string name) =>
        name.StartsWith("AssistantQueue", StringComparison.OrdinalIgnoreCase) || name.StartsWith("ConnectionStrings", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("ASPNETCORE_", StringComparison.Ordinal) || name == "DOTNET_ENVIRONMENT" || name.Contains("OPENAI_API_KEY", StringComparison.Ordinal);

    // …/tests/AssistantQueue.IntegrationTests/bin/<configuration>/<framework>/ → …/samples/<sample>/bin/<configuration>/<framework>/
    private static string PathOf(string sample)
    {
        var framework = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var configuration = framework.Parent!;
        var root = configuration.Parent!.Parent!.Parent!.Parent!;
        return Path.Combine(root.FullName, "samples", sample, "bin", configuration.Name, framework.Name, sample + ".dll");
    }

    private void OnLine(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is null)
        {
            return;
        }

        lock (_lines)
        {
            _lines.Add(line.Data);
        }

        try
        {
            _written.Release();
        }
        catch (ObjectDisposedException)
        {
            // A last line after the test's end: nobody reads it.
        }
    }
}
