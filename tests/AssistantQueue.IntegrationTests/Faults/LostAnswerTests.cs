using System.Collections.Concurrent;
using AssistantQueue.Emulators;
using AssistantQueue.IntegrationTests.Redis;
using Xunit.Abstractions;

namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>
/// Every script, applied although its answer never arrived: a first run of a day in a queue's life counts the scripts' runs; then one day for each of them
/// loses its answer, and whoever called it repeats the call. Nothing may be lost or done twice.
/// </summary>
public sealed class LostAnswerTests(ITestOutputHelper output)
{
    private const int AtATime = 48;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(45);

    [Fact]
    public async Task EachScript_AnswerLostAndCallRepeated_NothingLostNothingTwice()
    {
        await using var emulator = await OpenAIEmulator.StartAsync(new OpenAIEmulatorOptions());
        var redis = await TestRedis.GetApartAsync();
        var faults = new ConcurrentQueue<string>();

        async Task<LostAnswers> LiveAsync((string Script, int Number)? lost)
        {
            using var patience = new CancellationTokenSource(Patience);
            var answers = new LostAnswers(lost);
            try
            {
                await using var day = new LostAnswerDay($"lost-{Guid.NewGuid():N}"[..13], emulator, answers, redis.Multiplexer);
                await day.LiveAsync(patience.Token);
            }
            catch (Exception e) when (e is Xunit.Sdk.XunitException or OperationCanceledException or BatchFailedException)
            {
                faults.Enqueue($"{lost}: {e}");
            }

            return answers;
        }

        await LiveAsync(null);
        var whole = await LiveAsync(null);
        Assert.True(faults.IsEmpty, string.Join('\n', faults));
        var runs = whole.Runs.SelectMany(script => Enumerable.Range(1, script.Value).Select(number => (script.Key, number))).ToList();
        var lost = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(runs, new ParallelOptions { MaxDegreeOfParallelism = AtATime }, async (run, _) =>
        {
            if (faults.Count < 3 && (await LiveAsync(run)).IsLost)
            {
                lost.Enqueue(run.Key);
            }
        });

        output.WriteLine($"{runs.Count} runs of {whole.Runs.Count} scripts, {lost.Count} answers lost");
        output.WriteLine(string.Join(", ", whole.Runs.Select(r => $"{r.Key} {r.Value}")));
        Assert.True(faults.IsEmpty, string.Join('\n', faults));
        Assert.Empty(ScriptProxy.Scripts.Except(lost));
    }
}
