namespace AssistantQueue.IntegrationTests.Faults;

/// <summary>A moment in an owner's life at which it can be killed: around the n-th call of a kind, or in the middle of a script.</summary>
/// <param name="Call">The call: a method of the store, a script, a request to the API, a handler.</param>
/// <param name="Number">Which of them, from 1.</param>
/// <param name="Moment">When.</param>
/// <param name="Writes">How many of a script's writes are made, when it is torn.</param>
internal sealed record CrashPoint(string Call, int Number, CrashMoment Moment, int Writes = 0)
{
    public override string ToString() => $"{Moment} {Call} {Number}{(Writes > 0 ? $" after {Writes} writes" : "")}";
}

/// <summary>When around a call an owner dies.</summary>
internal enum CrashMoment
{
    /// <summary>Nothing was sent.</summary>
    Before,

    /// <summary>It was done, and its answer is lost with the owner. Of a stream: it has begun.</summary>
    After,

    /// <summary>The first piece of a stream's body has come.</summary>
    InStream,

    /// <summary>The last piece has.</summary>
    AtEndOfStream,

    /// <summary>Redis went down with the owner and came back with only the first of a script's writes.</summary>
    Torn,
}
