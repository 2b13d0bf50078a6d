using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace AssistantQueue;

/// <summary>How far a message must have got before an enqueue completes: in settings <c>Primary</c> or <c>Replicas(n)</c>.</summary>
/// <remarks>
/// Replication of Redis is asynchronous: a failover loses what the primary had acknowledged and not yet handed on. <see cref="Replicas"/> waits until
/// n replicas have it in memory; whether a disk has it is <c>appendfsync</c>'s matter, on each of them.
/// </remarks>
public readonly record struct Durability : IParsable<Durability>
{
    private const string PrimaryName = "Primary";
    private const string ReplicasName = "Replicas(";

    private Durability(int replicaCount) => ReplicaCount = replicaCount;

    /// <summary>Gets the durability of an enqueue that completes when the primary has the message.</summary>
    public static Durability Primary => default;

    /// <summary>Gets how many replicas must have the message; zero for the primary alone.</summary>
    public int ReplicaCount { get; }

    /// <summary>The durability of an enqueue that completes when this many replicas have the message too.</summary>
    /// <param name="count">1 to 100.</param>
    /// <returns>The durability.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is out of range.</exception>
    public static Durability Replicas(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, 100);
        return new(count);
    }

    /// <inheritdoc/>
    /// <exception cref="FormatException">The text is neither <c>Primary</c> nor <c>Replicas(n)</c> with n from 1 to 100.</exception>
    public static Durability Parse(string s, IFormatProvider? provider = null) =>
        TryParse(s, provider, out var result) ? result : throw new FormatException($"'{s}' is neither Primary nor Replicas(n) with n from 1 to 100.");

    /// <inheritdoc/>
    public static bool TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out Durability result)
    {
        result = default;
        var text = s?.Trim() ?? "";
        if (text.Equals(PrimaryName, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        if (text.StartsWith(ReplicasName, StringComparison.OrdinalIgnoreCase) && text.EndsWith(')')
            && int.TryParse(text[ReplicasName.Length..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is >= 1 and <= 100)
        {
            result = new(count);
            return true;
        }

        return false;
    }

    /// <inheritdoc/>
    public override string ToString() => ReplicaCount == 0 ? PrimaryName : string.Create(CultureInfo.InvariantCulture, $"{ReplicasName}{ReplicaCount})");
}
