using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AssistantQueue.TestHost;

/// <summary>The model of <c>worker --chat true</c> and <c>--agent true</c>: told "use tools" it asks for two at once, told "a story" it writes one in three pieces, otherwise it answers with every text, call and result that it was given.</summary>
internal sealed class LocalModel(bool hangs) : IChatClient
{
    /// <summary>Gives a queue this model and its tools; with <paramref name="hangs"/> the tool "slow" never returns, and a story stops before its last piece. Each call prints a line.</summary>
    public static void Use(IAssistantQueueBuilder queue, bool hangs) => queue
        .UseChatClient(new LocalModel(hangs))
        .AddTool(AIFunctionFactory.Create((AIFunctionArguments arguments) => Called(arguments), "quick"))
        .AddTool(AIFunctionFactory.Create(
            async (AIFunctionArguments arguments, CancellationToken cancellationToken) =>
            {
                var output = Called(arguments);
                await (hangs ? Task.Delay(Timeout.Infinite, cancellationToken) : Task.CompletedTask);
                return output;
            },
            "slow"));

    /// <summary>Gives a queue an agent of this model, which calls its tools itself.</summary>
    public static void UseAgent(IAssistantQueueBuilder queue) => queue
        .UseAgent(new TestAgent(new LocalModel(hangs: false), AIFunctionFactory.Create(() => "quick done", "quick"), AIFunctionFactory.Create(() => "slow done", "slow")));

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await Task.Yield();
        var all = messages.ToList();
        if (all[^1].Text == "use tools")
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, [new FunctionCallContent("q", "quick"), new FunctionCallContent("s", "slow")]);
            yield break;
        }

        if (all[^1].Text == "a story")
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, "Once ");
            yield return new ChatResponseUpdate(ChatRole.Assistant, "upon ");
            await (hangs ? Task.Delay(Timeout.Infinite, cancellationToken) : Task.CompletedTask);
            yield return new ChatResponseUpdate(ChatRole.Assistant, "a time");
            yield break;
        }

        foreach (var message in all)
        {
            foreach (var content in message.Contents)
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, content switch
                {
                    FunctionCallContent call => $"[call {call.CallId}]",
                    FunctionResultContent result => $"[{result.CallId} = {result.Result}]",
                    _ => $"[{message.Role}: {content}]",
                });
            }
        }
    }

    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public object? GetService(Type serviceType, object? serviceKey = null) => null;

    public void Dispose()
    {
    }

    private static string Called(AIFunctionArguments arguments)
    {
        var call = arguments.GetToolCall()!;
        Console.WriteLine($"called {call.Name} {call.CallId} {call.IsRepeated}");
        return $"{call.Name} done";
    }
}
