namespace AssistantQueue.Tests.Readme;

/// <summary>Which test runs each of the README's snippets, in their order, and the words with which it does.</summary>
internal static class SnippetRuns
{
    public static readonly OrderedDictionary<string, (string Test, string With)> All = new(StringComparer.Ordinal)
    {
        ["ten-lines"] = ("ReadmeTests.TenLines_Run_AnswerBothMessagesAtOnce", "Snippets.TenLinesAsync("),
        ["register"] = ("ReadmeAppTests.Handler_MessagesThatTheApiRefuses_SaysSorry", "Snippets.Register(builder)"),
        ["controller"] = ("ReadmeAppTests.Controller_AWebhookDeliveredTwice_StoresOneMessageAndTheHandlerSendsTheReply", "typeof(MessagesController)"),
        ["handler"] = ("ReadmeAppTests.Handler_MessagesThatTheApiRefuses_SaysSorry", "Snippets.Register(builder)"),
        ["watch"] = ("ReadmeAppTests.Watch_AConversation_PrintsWaitingRunAndReply", "Snippets.WatchAsync("),
        ["tools"] = ("ReadmeAppTests.Tools_OfTheApp_AreCalledAndTheRefundWaitsForItsApproval", "Snippets.Tools(builder)"),
        ["producer-only"] = ("ReadmeAppTests.ProducerOnly_AnotherProcess_StoresWhatTheAppAnswers", "Snippets.ProducerOnly(builder)"),
        ["named"] = ("ReadmeTests.Named_Registered_AnswersWithItsBackend", "Snippets.Named("),
        ["keyed"] = ("ReadmeTests.Named_Registered_AnswersWithItsBackend", "GetRequiredService<Desk>()"),
        ["chat-client"] = ("ReadmeAppTests.ChatClient_OfTheApp_AnswersAndItsToolIsCalled", "Snippets.ChatClient(builder"),
        ["agent"] = ("ReadmeAppTests.Agent_OfTheApp_Answers", "Snippets.Agent(builder"),
        ["backend"] = ("OwnBackendTests.Example_Batches_AreJobsOfOneSessionWithTheirTextAsItIsWritten", "new JobsBackend("),
    };
}
