using System.Globalization;
using System.Text.Json;
using AssistantQueue.Outcomes;
using AssistantQueue.Store;

namespace AssistantQueue.Finish;

/// <summary>What watchers are told of a run that is given back, also those that come late: bounded, since it is kept in Redis.</summary>
internal static class ToldOnRelease
{
    /// <summary>The most characters of an interrupted run's text, and of a call's arguments.</summary>
    private const int MaxText = 16 * 1024;

    /// <summary>Where the text that is told begins, a blank and the text. Of a long one its end, where the run was.</summary>
    public static string Of(RunInterrupted interrupted)
    {
        var (offset, text) = (interrupted.TextOffset, interrupted.Text);
        if (text.Length > MaxText)
        {
            var cut = text.Length - MaxText;
            cut += char.IsLowSurrogate(text[cut]) ? 1 : 0;
            (offset, text) = (offset + cut, text[cut..]);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{offset} {text}");
    }

    /// <summary>The calls that wait for approval. As long as they do, watchers get their whole arguments from the journal; later those that are not too long.</summary>
    public static string Of(RunAwaitsApproval waiting) => JsonSerializer.Serialize(
        (waiting.Run.Journal.LastRound?.Calls ?? []).Where(call => call.State == ToolCallState.AwaitingApproval).Select((call, i) => new LiveItem
        {
            Index = i + 1,
            Kind = LiveKind.ToolCalled,
            CallId = call.CallId,
            Name = call.Name,
            Text = call.Arguments is { Length: <= MaxText } arguments ? arguments : null,
        }).ToList(),
        StoreJson.Live);
}
