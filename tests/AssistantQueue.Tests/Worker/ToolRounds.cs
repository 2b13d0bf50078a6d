namespace AssistantQueue.Tests.Worker;

/// <summary>What a backend does with a model that asks for tools in rounds: goes on from the journal, hands in what the tools gave.</summary>
internal static class ToolRounds
{
    /// <summary>Lets a backend ask for these calls, round by round (an id, a tool, arguments), and answer with all outputs.</summary>
    public static Func<BatchRun, CancellationToken, Task<string>> Of(params (string Id, string Tool, string Arguments)[][] rounds) => async (run, cancellationToken) =>
    {
        var outputs = new List<string>();
        for (var i = 0; i < rounds.Length; i++)
        {
            if (run.Journal.Rounds.Count <= i)
            {
                run.Journal.Rounds.Add(new JournalRound
                {
                    RunId = $"r{i}",
                    Calls = [.. rounds[i].Select(c => new JournalToolCall { CallId = c.Id, Name = c.Tool, Arguments = c.Arguments })],
                });
            }

            var answers = await run.Tools.CallAsync(run, run.Journal.Rounds[i], cancellationToken);
            outputs.AddRange(answers.Select(a => (a.IsError ? "!" : "") + a.Output));
        }

        return string.Join("|", outputs);
    };
}
