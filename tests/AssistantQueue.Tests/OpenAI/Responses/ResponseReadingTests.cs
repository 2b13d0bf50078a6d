using System.Text.Json;
using AssistantQueue.OpenAI.Errors;
using AssistantQueue.OpenAI.Responses;

namespace AssistantQueue.Tests.OpenAIBackends.Responses;

/// <summary>What each end of a response means.</summary>
public class ResponseReadingTests
{
    [Theory]
    [InlineData("queued", false)]
    [InlineData("in_progress", false)]
    [InlineData("completed", true)]
    [InlineData("incomplete", true)]
    [InlineData("failed", true)]
    [InlineData("cancelled", true)]
    [InlineData("a_status_of_next_year", true)]
    public void IsOver_AnyStatus_OnlyKnownOnesAreWaitedFor(string status, bool expected) =>
        Assert.Equal(expected, ResponseReading.IsOver(Response(status)));

    [Theory]
    // cancelled by somebody else while it was followed
    [InlineData("cancelled", "", ErrorMap.Cancelled, "cancelled at the API", BackendErrorKind.Transient)]
    [InlineData("failed", ""","error":{"code":"server_error","message":"Sorry"} """, "server_error", "Sorry", BackendErrorKind.Transient)]
    [InlineData("failed", ""","error":{"code":"invalid_prompt","message":"Refused"} """, "invalid_prompt", "Refused", BackendErrorKind.Permanent)]
    [InlineData("failed", ""","error":null """, null, "without saying why", BackendErrorKind.Transient)]
    [InlineData("failed", "", null, "without saying why", BackendErrorKind.Transient)]
    [InlineData("incomplete", ""","incomplete_details":{"reason":"content_filter"} """, "content_filter", "content filter", BackendErrorKind.Permanent)]
    [InlineData("a_status_of_next_year", "", ErrorMap.Garbage, "a_status_of_next_year", BackendErrorKind.Transient)]
    public void Error_EndWithoutReply_IsTold(string status, string more, string? code, string message, BackendErrorKind kind)
    {
        var error = ResponseReading.Error(Response(status, more))!;

        Assert.Equal((200, code), (error.Status, error.Code));
        Assert.Contains(message, error.Message);
        Assert.Equal(kind, ErrorMap.Classify(error));
    }

    [Theory]
    [InlineData("max_output_tokens")]
    [InlineData("a_reason_of_next_year")]
    public void Reply_Incomplete_IsDeliveredAndSaysWhy(string reason)
    {
        var response = Response("incomplete", $$$"""
            , "incomplete_details":{"reason":"{{{reason}}}"},"output":[{"type":"message","role":"assistant","status":"incomplete","content":[{"type":"output_text","text":"so far","annotations":[]}]}]
            """);

        Assert.Null(ResponseReading.Error(response));
        var reply = ResponseReading.Reply(response);
        Assert.Equal("so far", reply.Text);
        Assert.Equal(reason, reply.Contents[^1].AdditionalProperties!["incomplete_reason"]);
    }

    [Fact]
    public void Error_Completed_IsNone() => Assert.Null(ResponseReading.Error(Response("completed")));

    private static JsonElement Response(string status, string more = "") => JsonElement.Parse($$"""{"id":"resp_1","object":"response","status":"{{status}}"{{more}}}""");
}
