using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace AssistantQueue.Tests.ChatClient;

/// <summary>Holds a stream back after each word until it may go on.</summary>
internal sealed class HaltingChatClient(IChatClient inner, Task goOn) : DelegatingChatClient(inner)
{
    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var update in base.GetStreamingResponseAsync(messages, options, cancellationToken))
        {
            yield return update;
            await goOn.WaitAsync(cancellationToken);
        }
    }
}
