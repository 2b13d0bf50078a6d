using System.Text.Json;
using AssistantQueue.OpenAI.Errors;
using Microsoft.Extensions.AI;

namespace AssistantQueue.OpenAI.Responses;

/// <summary>What a thread's next response goes on from: a conversation, or the response before.</summary>
internal abstract class History
{
    /// <summary>Makes sure that there is something to go on from, and that it is stored.</summary>
    public abstract Task OpenAsync(CancellationToken cancellationToken);

    /// <summary>Names it in a request.</summary>
    public abstract void WriteTo(Utf8JsonWriter json);

    /// <summary>The last item before the batch's first post; null when there is none or none can be seen.</summary>
    public abstract Task<string?> LastItemAsync(CancellationToken cancellationToken);

    /// <summary>What a post of the batch has left, if it can be seen at all.</summary>
    public abstract Task<Tail> LookAsync(CancellationToken cancellationToken);

    /// <summary>Whether looking can tell that a post was taken.</summary>
    public abstract bool CanBeLookedAt { get; }

    /// <summary>Another batch may have posted since this one did: an operator's retry comes days later. Takes over what that one left, and forgets what it has settled; a batch that has nothing to look for may then post on top of it.</summary>
    public abstract Task CatchUpAsync(CancellationToken cancellationToken);

    /// <summary>Whether an error says that it no longer exists.</summary>
    public abstract bool IsGone(ApiError error);

    /// <summary>Forgets it, so that the next <see cref="OpenAsync"/> begins anew.</summary>
    public abstract string Forget();

    /// <summary>A response of the batch was cancelled after an earlier one had asked for tools: the next attempt goes on from that one.</summary>
    public abstract void KeepAsked(JournalRound asked);

    /// <summary>Notes where the next batch goes on. Stored together with the reply.</summary>
    public abstract void Advance(JsonElement response);
}

/// <summary>What was found behind the last item seen.</summary>
/// <param name="HasInputs">Whether the batch's messages are there.</param>
/// <param name="Reply">The reply to them, if it is there.</param>
/// <param name="Calls">The calls that the model answered them with, if they have no outputs yet.</param>
/// <param name="Said">What it said beside them.</param>
internal sealed record Tail(bool HasInputs, RunCompleted? Reply, IReadOnlyList<JournalToolCall> Calls, IReadOnlyList<AIContent> Said)
{
    public static readonly Tail Nothing = new(false, null, [], []);
}
