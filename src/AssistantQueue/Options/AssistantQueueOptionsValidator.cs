using Microsoft.Extensions.Options;

namespace AssistantQueue;

/// <summary>Checks one queue's settings and the rules between them; tells all faults at once.</summary>
internal sealed class AssistantQueueOptionsValidator(QueueRegistration registration, Func<bool> hasMultiplexer, Func<string, string?> connectionStringFault) : IValidateOptions<AssistantQueueOptions>
{
    internal const int MaxInstructions = 256_000;
    private const int MaxPrefix = 100;

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1), Second = TimeSpan.FromSeconds(1), Month = TimeSpan.FromDays(30), Decade = TimeSpan.FromDays(3650);

    public ValidateOptionsResult Validate(string? name, AssistantQueueOptions options)
    {
        if (name != registration.Name)
        {
            return ValidateOptionsResult.Skip;
        }

        var faults = new SettingFaults(registration.ConfigurationPath);
        foreach (var fault in options.Faults)
        {
            faults.Add(fault);
        }

        CheckRedis(faults, options);
        CheckWindow(faults, options);
        CheckRuns(faults, options);
        CheckTools(faults, options);
        CheckKeeping(faults, options);
        return faults.All.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults.All);
    }

    private void CheckRedis(SettingFaults faults, AssistantQueueOptions o)
    {
        if (!string.IsNullOrWhiteSpace(o.RedisConnectionString))
        {
            if (connectionStringFault(o.RedisConnectionString) is { } fault)
            {
                faults.Add($"{faults.Name(nameof(o.RedisConnectionString))} {fault}");
            }
        }
        else if (!hasMultiplexer())
        {
            faults.Add($"{faults.Name(nameof(o.RedisConnectionString))} is empty and there is no IConnectionMultiplexer in DI; set it (or ConnectionStrings:redis), register an IConnectionMultiplexer, or call .UseEmbeddedRedis() of the package AssistantQueue.Emulators");
        }

        faults.Range(nameof(o.ConnectTimeout), o.ConnectTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(5));
        faults.Check(
            o.QueuePrefix is { Length: > 0 and <= MaxPrefix } && !o.QueuePrefix.Any(c => c is '{' or '}' || char.IsWhiteSpace(c) || char.IsControl(c)),
            nameof(o.QueuePrefix), o.QueuePrefix is null ? null : $"'{o.QueuePrefix}'", $"1 to {MaxPrefix} characters without braces, white space and control characters");
        faults.Range(nameof(o.Partitions), o.Partitions, 1, 1_024);
    }

    private static void CheckWindow(SettingFaults faults, AssistantQueueOptions o)
    {
        faults.Range(nameof(o.MessageDelay), o.MessageDelay, TimeSpan.Zero, Month);
        faults.Defined(nameof(o.Window), o.Window);
        faults.Range(nameof(o.MaxMessageDelay), o.MaxMessageDelay, TimeSpan.Zero, Month);
        if (o.Window == WindowKind.Sliding)
        {
            faults.AtLeast(nameof(o.MaxMessageDelay), o.MaxMessageDelay, nameof(o.MessageDelay), o.MessageDelay, "a sliding window can't end before its first delay is over");
        }

        faults.Range(nameof(o.MaxBatchMessages), o.MaxBatchMessages, 1, 10_000);
        faults.Range(nameof(o.MaxBatchCharacters), o.MaxBatchCharacters, 1, 10_485_760);
        faults.Range(nameof(o.MaxPendingMessages), o.MaxPendingMessages, 1, 1_000_000);
        if (o.MaxPendingMessages < o.MaxBatchMessages)
        {
            faults.Add($"{faults.Name(nameof(o.MaxPendingMessages))} is {SettingFaults.Number(o.MaxPendingMessages)} and {faults.Name(nameof(o.MaxBatchMessages))} is {SettingFaults.Number(o.MaxBatchMessages)}; a batch could never be full: raise the first or lower the second");
        }
    }

    private static void CheckRuns(SettingFaults faults, AssistantQueueOptions o)
    {
        faults.Range(nameof(o.MaxAttempts), o.MaxAttempts, 1, 100);
        faults.Range(nameof(o.MaxDeaths), o.MaxDeaths, 1, 100);
        faults.Range(nameof(o.Concurrency), o.Concurrency, 1, 10_000);
        faults.Check(o.DefaultInstructions is null or { Length: <= MaxInstructions }, nameof(o.DefaultInstructions), $"{SettingFaults.Number(o.DefaultInstructions?.Length ?? 0)} characters long", $"at most {SettingFaults.Number(MaxInstructions)} characters");
        faults.Defined(nameof(o.Combine), o.Combine);
        faults.Defined(nameof(o.WhenBusy), o.WhenBusy);
        faults.Range(nameof(o.MaxInterruptions), o.MaxInterruptions, 0, 100);
        faults.Range(nameof(o.LockDuration), o.LockDuration, TimeSpan.FromSeconds(3), TimeSpan.FromMinutes(10));
        faults.Range(nameof(o.RunTimeout), o.RunTimeout, Second, TimeSpan.FromDays(1));
        faults.Range(nameof(o.UnknownOutcomeWait), o.UnknownOutcomeWait, TimeSpan.Zero, TimeSpan.FromHours(1));
        faults.AtLeast(nameof(o.RunTimeout), o.RunTimeout, nameof(o.UnknownOutcomeWait), o.UnknownOutcomeWait, "a run would be out of time before it may post again");
        faults.Defined(nameof(o.WhenConversationGone), o.WhenConversationGone);
        if (o.Backoff is not { } backoff)
        {
            faults.Check(false, nameof(o.Backoff), "null", "left out or filled in");
            return;
        }

        const string Delay = $"{nameof(o.Backoff)}:{nameof(backoff.Delay)}", MaxDelay = $"{nameof(o.Backoff)}:{nameof(backoff.MaxDelay)}";
        faults.Defined($"{nameof(o.Backoff)}:{nameof(backoff.Type)}", backoff.Type);
        faults.Range(Delay, backoff.Delay, TimeSpan.Zero, TimeSpan.FromDays(1));
        faults.Range(MaxDelay, backoff.MaxDelay, Moment, TimeSpan.FromDays(7));
        faults.AtLeast(MaxDelay, backoff.MaxDelay, Delay, backoff.Delay, "the longest pause can't be shorter than the first");
    }

    private static void CheckTools(SettingFaults faults, AssistantQueueOptions o)
    {
        if (o.Tools is not { } tools)
        {
            faults.Check(false, nameof(o.Tools), "null", "left out or filled in");
            return;
        }

        faults.Range($"{nameof(o.Tools)}:{nameof(tools.MaxRounds)}", tools.MaxRounds, 1, 1_000);
        faults.Range($"{nameof(o.Tools)}:{nameof(tools.MaxParallelCalls)}", tools.MaxParallelCalls, 1, 100);
        faults.Range($"{nameof(o.Tools)}:{nameof(tools.CallTimeout)}", tools.CallTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1));
        faults.Range($"{nameof(o.Tools)}:{nameof(tools.ApprovalTimeout)}", tools.ApprovalTimeout, Second, Month);
    }

    private static void CheckKeeping(SettingFaults faults, AssistantQueueOptions o)
    {
        faults.Range(nameof(o.CompletedRetention), o.CompletedRetention, Second, Decade);
        faults.Range(nameof(o.DeduplicationWindow), o.DeduplicationWindow, TimeSpan.Zero, Decade);
        faults.Range(nameof(o.ReplyRetention), o.ReplyRetention, Second, Decade);
        faults.Range(nameof(o.FailedRetention), o.FailedRetention, Second, Decade);
        faults.Range(nameof(o.DeliveryMaxAge), o.DeliveryMaxAge, Second, Decade);
        if (o.ConversationRetention is { } kept)
        {
            faults.Range(nameof(o.ConversationRetention), kept, Second, Decade);
        }
    }
}
