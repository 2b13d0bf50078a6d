using AssistantQueue.Emulators;
using Microsoft.Extensions.Configuration;

namespace AssistantQueue.TestHost;

/// <summary><c>emulator --port N --data DIR --Latency 00:00:01 …</c>: an OpenAI emulator of its own; every option of <see cref="OpenAIEmulatorOptions"/> is an argument.</summary>
/// <remarks>Prints its base URL when it is ready. Ends at SIGTERM or with its standard input; <c>--forever true</c> is for shells that give it none.</remarks>
internal static class EmulatorVerb
{
    public static async Task<int> RunAsync(string[] args)
    {
        var settings = new ConfigurationBuilder()
            .AddCommandLine(args, new Dictionary<string, string> { ["--port"] = "Port", ["--data"] = "DataDirectory" })
            .Build();
        var options = new OpenAIEmulatorOptions();
        settings.Bind(options);

        await using var emulator = await OpenAIEmulator.StartAsync(options);
        Console.WriteLine(emulator.BaseUrl);
        await (settings.GetValue<bool>("forever") ? Task.Delay(Timeout.Infinite) : VerbLife.UntilToldToEndAsync());
        return 0;
    }
}
