using System.Globalization;
using AssistantQueue.Benchmarks;

// The first argument is the scenario, each lives in a file of its own; the second says how many rounds.
var rounds = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : 5;
switch (args is [var name, ..] ? name : "")
{
    case "durability":
        await DurabilityScenario.RunAsync(rounds);
        return 0;
    default:
        await Console.Error.WriteLineAsync("Usage: dotnet run -c Release --project tests/AssistantQueue.Benchmarks -- durability [rounds]");
        return 2;
}
