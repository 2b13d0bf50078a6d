using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AssistantQueue.ChatClient;

/// <summary>Checks one queue's chat settings when the host starts, and that there is a client. A process that only produces is asked for nothing.</summary>
internal sealed class ChatClientOptionsValidator(string queue, string path, IServiceProvider services, bool looksInServices) : IValidateOptions<ChatClientOptions>
{
    public ValidateOptionsResult Validate(string? name, ChatClientOptions options)
    {
        if ((name ?? "") != queue || !QueueRole.RunsWorker(services, queue))
        {
            return ValidateOptionsResult.Skip;
        }

        var faults = new SettingFaults(path);
        foreach (var fault in options.Faults)
        {
            faults.Add(fault);
        }

        faults.Range(nameof(options.MaxHistoryMessages), options.MaxHistoryMessages, 0, 10_000);
        faults.Range(nameof(options.MaxHistoryCharacters), options.MaxHistoryCharacters, 0, 10_485_760);
        if (looksInServices && !HasClient())
        {
            faults.Add($"{(queue.Length == 0 ? "The queue" : $"Queue '{queue}'")} uses a chat client, but there is no IChatClient in DI; register one (services.AddChatClient(…), or keyed by the queue's name), or give it to .UseChatClient(…)");
        }

        return faults.All.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults.All);
    }

    // Asked without creating it: a client may do work when it is made.
    private bool HasClient() =>
        services.GetRequiredService<IServiceProviderIsKeyedService>() is var known
        && (known.IsService(typeof(IChatClient)) || (queue.Length > 0 && known.IsKeyedService(typeof(IChatClient), queue)));
}
