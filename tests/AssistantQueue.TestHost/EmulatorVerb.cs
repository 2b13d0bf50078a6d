using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;

namespace AssistantQueue.TestHost;

/// <summary><c>emulator --port N --data DIR --Latency 00:00:01 …</c>: an OpenAI emulator of its own; every option of <see cref="OpenAIEmulatorOptions"/> is an argument.</summary>
/// <remarks>Prints its base URL as the first line when it is ready, and runs until SIGTERM or the end of its standard input when <c>--until-eof true</c> is given.</remarks>
internal static class EmulatorVerb
{
    public static async Task<int> RunAsync(string[] args)
    {
        var settings = new ConfigurationBuilder()
            .AddCommandLine(args, new Dictionary<string, string> { ["--port"] = "Port", ["--data"] = "DataDirectory" })
            .Build();
        var options = new OpenAIEmulatorOptions();
        settings.Bind(options);

        var stop = new TaskCompletionSource();
        using var signal = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            stop.TrySetResult();
        });

        await using var emulator = await OpenAIEmulator.StartAsync(options);
        Console.WriteLine(emulator.BaseUrl);
        if (settings.GetValue<bool>("until-eof"))
        {
            _ = Task.Run(async () =>
            {
                await Console.In.ReadToEndAsync();
                stop.TrySetResult();
            });
        }

        await stop.Task;
        return 0;
    }
}
