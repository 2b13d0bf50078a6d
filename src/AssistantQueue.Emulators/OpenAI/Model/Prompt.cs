namespace AssistantQueue.Emulators;

/// <summary>Who speaks in one turn.</summary>
internal enum TurnKind
{
    User,
    Assistant,

    /// <summary>The model, beside the calls that it made: no answer yet.</summary>
    Beside,
    System,
    Call,
    Output,
}

/// <summary>One entry of the conversation as the model sees it.</summary>
/// <param name="Kind">Who speaks.</param>
/// <param name="Text">The text, the arguments of a call, or a tool's output.</param>
/// <param name="Fresh">Whether it came with the present request.</param>
/// <param name="CallId">The call's id.</param>
/// <param name="Name">The function's name.</param>
internal sealed record Turn(TurnKind Kind, string Text, bool Fresh = false, string? CallId = null, string? Name = null);

/// <summary>What the model gets.</summary>
internal sealed record Prompt(IReadOnlyList<Turn> Turns, string? Instructions, IReadOnlySet<string> Tools, bool ParallelCalls, bool Commands)
{
    public int Tokens => Turns.Sum(t => EchoModel.Tokens(t.Text)) + EchoModel.Tokens(Instructions ?? "");
}

/// <summary>A function that the model wants called.</summary>
internal sealed record WantedCall(string Name, string Arguments);

/// <summary>What the model answers: a text, or calls and what it says beside them; and how it wants to misbehave.</summary>
internal sealed record ModelAnswer(string Text, IReadOnlyList<WantedCall> Calls, TimeSpan? Latency = null, string? FailCode = null, bool Refused = false, bool Incomplete = false, string? Cited = null);
