using System.Reflection;
using System.Text;

namespace AssistantQueue.Redis;

/// <summary>The scripts' texts: one embedded file a step, with the shared parts that its <c>--@include</c> lines name.</summary>
internal static class RedisScript
{
    private const string IncludeMark = "--@include ";

    public static string Enqueue { get; } = Load("enqueue");

    public static string Claim { get; } = Load("claim");

    public static string ClaimRead { get; } = Load("claim-read");

    public static string Join { get; } = Load("join");

    public static string Typing { get; } = Load("typing");

    public static string Renew { get; } = Load("renew");

    public static string Leave { get; } = Load("leave");

    public static string Journal { get; } = Load("journal");

    public static string Complete { get; } = Load("complete");

    public static string Retry { get; } = Load("retry");

    public static string Fail { get; } = Load("fail");

    public static string Release { get; } = Load("release");

    public static string DeliverClaim { get; } = Load("deliver-claim");

    public static string DeliverClose { get; } = Load("deliver-close");

    public static string DeliverPostpone { get; } = Load("deliver-postpone");

    public static string Status { get; } = Load("status");

    public static string FindReply { get; } = Load("find-reply");

    public static string FindMessage { get; } = Load("find-message");

    public static string FailedList { get; } = Load("failed-list");

    public static string FailedRead { get; } = Load("failed-read");

    public static string FailedEdit { get; } = Load("failed-edit");

    public static string FailedDiscard { get; } = Load("failed-discard");

    public static string FailedRetry { get; } = Load("failed-retry");

    public static string ApprovalRead { get; } = Load("approval-read");

    public static string ApprovalDecide { get; } = Load("approval-decide");

    public static string History { get; } = Load("history");

    private static string Load(string name)
    {
        var script = new StringBuilder();
        var inHeader = false;
        foreach (var line in Read(name).Split('\n'))
        {
            // The header is for readers; Redis need not store it.
            inHeader |= line.StartsWith("--[[", StringComparison.Ordinal);
            if (!inHeader)
            {
                script.Append(line.StartsWith(IncludeMark, StringComparison.Ordinal) ? Read(line[IncludeMark.Length..].Trim()) : line).Append('\n');
            }

            inHeader &= !line.StartsWith("]]", StringComparison.Ordinal);
        }

        return script.ToString();
    }

    private static string Read(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name + ".lua")
            ?? throw new InvalidOperationException($"The script '{name}.lua' is not embedded in the assembly.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
