using System.Globalization;
using System.Runtime.CompilerServices;

namespace AssistantQueue.Enqueue;

/// <summary>A rule's sentence, put together only when the rule is broken: checks are made for every message.</summary>
[InterpolatedStringHandler]
internal ref struct RuleText
{
    private DefaultInterpolatedStringHandler _text;
    private readonly string? _plain;

    public RuleText(int literalLength, int formattedCount, bool holds, out bool isWanted)
    {
        isWanted = !holds;
        _text = isWanted ? new(literalLength, formattedCount, CultureInfo.InvariantCulture) : default;
    }

    private RuleText(string plain) => _plain = plain;

    public static implicit operator RuleText(string plain) => new(plain);

    public void AppendLiteral(string literal) => _text.AppendLiteral(literal);

    public void AppendFormatted<T>(T value, string? format = null) => _text.AppendFormatted(value, format);

    public override string ToString() => _plain ?? _text.ToStringAndClear();
}
