using System.Globalization;
using AssistantQueue.Store;
using StackExchange.Redis;

namespace AssistantQueue.Redis;

/// <summary>Decisions about tool calls on Redis: a line each, without white space inside its words.</summary>
internal sealed class RedisApproval(RedisCaller caller, TimeProvider time)
{
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromSeconds(60);

    public async Task<ApprovalState?> ReadAsync(int partition, string threadId, CancellationToken cancellationToken)
    {
        var found = (string[])(await caller.ReadAsync(RedisScript.ApprovalRead, partition, [RedisValue.EmptyString, threadId], cancellationToken))!;
        return found is [var batch, var journal, var decisions] ? new ApprovalState(batch, journal, Parse(decisions)) : null;
    }

    public async Task<DecideAnswer> DecideAsync(
        int partition, string threadId, string batchId, string callId, ToolDecision decision, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var answer = await Repeat.While(time, failure => !failure.IsRefusal && time.GetElapsedTime(began) < GiveUpAfter).ExecuteAsync(
            async token => await caller.CallAsync(
                RedisScript.ApprovalDecide,
                partition,
                [RedisValue.EmptyString, threadId, batchId, Word(callId), decision.IsApproved ? "1" : "0", Word(decision.Reason)],
                token),
            cancellationToken);
        return int.Parse((string)answer!, CultureInfo.InvariantCulture) switch
        {
            1 => DecideAnswer.Stored,
            0 => DecideAnswer.DecidedDifferently,
            _ => DecideAnswer.Missing,
        };
    }

    public static IReadOnlyDictionary<string, ToolDecision> Parse(string lines) => lines
        .Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Select(line => line.Split(' ', 3))
        .ToDictionary(
            words => Uri.UnescapeDataString(words[0]),
            words => new ToolDecision(words[1] == "1", Uri.UnescapeDataString(words[2])),
            StringComparer.Ordinal);

    private static string Word(string text) => Uri.EscapeDataString(text);
}
