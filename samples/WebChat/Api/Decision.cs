namespace WebChat.Api;

/// <summary>What somebody decided about a tool call.</summary>
/// <param name="Approved">Whether it may be made.</param>
/// <param name="Reason">What the model is told when it may not.</param>
public sealed record Decision(bool Approved, string? Reason = null);
