using System.Text.Json;
using AssistantQueue.OpenAI.Assistants;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.Tests.OpenAIBackends.Assistants;

/// <summary>What each end of a run means.</summary>
public class RunReadingTests
{
    [Theory]
    [InlineData("queued", false, false)]
    [InlineData("in_progress", false, false)]
    [InlineData("cancelling", false, false)]
    [InlineData("requires_action", true, false)]
    [InlineData("completed", true, true)]
    [InlineData("incomplete", true, true)]
    [InlineData("failed", true, true)]
    [InlineData("cancelled", true, true)]
    [InlineData("expired", true, true)]
    [InlineData("a_status_of_next_year", true, true)]
    public void IsOver_AnyStatus_OnlyKnownOnesAreWaitedFor(string status, bool isOver, bool isEnded) =>
        Assert.Equal((isOver, isEnded), (RunReading.IsOver(Run(status)), RunReading.IsEnded(Run(status))));

    [Theory]
    // cancelled by somebody else while it was followed
    [InlineData("cancelled", "", ErrorMap.Cancelled, "cancelled at the API", BackendErrorKind.Transient)]
    [InlineData("expired", "", null, "expired", BackendErrorKind.Transient)]
    [InlineData("failed", ""","last_error":{"code":"server_error","message":"Sorry"} """, "server_error", "Sorry", BackendErrorKind.Transient)]
    [InlineData("failed", ""","last_error":{"code":"invalid_prompt","message":"Refused"} """, "invalid_prompt", "Refused", BackendErrorKind.Permanent)]
    [InlineData("failed", ""","last_error":null """, null, "without saying why", BackendErrorKind.Transient)]
    [InlineData("failed", "", null, "without saying why", BackendErrorKind.Transient)]
    [InlineData("incomplete", ""","incomplete_details":{"reason":"content_filter"} """, "content_filter", "content filter", BackendErrorKind.Permanent)]
    [InlineData("a_status_of_next_year", "", ErrorMap.Garbage, "a_status_of_next_year", BackendErrorKind.Transient)]
    public void Error_EndWithoutReply_IsTold(string status, string more, string? code, string message, BackendErrorKind kind)
    {
        var error = RunReading.Error(Run(status, more))!;

        Assert.Equal((200, code), (error.Status, error.Code));
        Assert.Contains(message, error.Message);
        Assert.Equal(kind, ErrorMap.Classify(error));
    }

    [Theory]
    [InlineData("max_completion_tokens")]
    [InlineData("max_prompt_tokens")]
    public void Reply_Incomplete_IsDeliveredAndSaysWhy(string reason)
    {
        var run = Run("incomplete", $$$""","incomplete_details":{"reason":"{{{reason}}}"}""");
        var message = JsonElement.Parse("""{"role":"assistant","content":[{"type":"text","text":{"value":"so far","annotations":[]}}]}""");

        Assert.Null(RunReading.Error(run));
        var reply = RunReading.Reply(run, [message]);
        Assert.Equal("so far", reply.Text);
        Assert.Equal(reason, reply.Contents[^1].AdditionalProperties!["incomplete_reason"]);
    }

    [Fact]
    public void Error_Completed_IsNone() => Assert.Null(RunReading.Error(Run("completed")));

    private static JsonElement Run(string status, string more = "") => JsonElement.Parse($$"""{"id":"run_1","object":"thread.run","status":"{{status}}"{{more}}}""");
}
