using System.Text;
using AssistantQueue.OpenAI.Errors;

namespace AssistantQueue.Tests.OpenAIBackends.Errors;

/// <summary>What each error of the APIs means for the queue, and whether a post that got it may have been taken.</summary>
public class ErrorMapTests
{
    [Theory]
    // the thread is busy with somebody else's run
    [InlineData(400, "conversation_locked", null, "Another process is currently operating on this conversation. Please retry in a few seconds.", BackendErrorKind.ThreadBusy)]
    [InlineData(400, null, "invalid_request_error", "Can't add messages to thread_jD1d while a run run_KfVG is active.", BackendErrorKind.ThreadBusy)]
    [InlineData(400, null, "invalid_request_error", "Thread thread_CPVZ already has an active run run_nuUS.", BackendErrorKind.ThreadBusy)]
    // worth another try
    [InlineData(429, "rate_limit_exceeded", "requests", "Rate limit reached", BackendErrorKind.Transient)]
    [InlineData(429, "slow_down", "rate_limit_error", "Slow down", BackendErrorKind.Transient)]
    [InlineData(429, null, null, "Too many requests", BackendErrorKind.Transient)]
    [InlineData(408, null, null, "Timeout", BackendErrorKind.Transient)]
    [InlineData(409, null, null, "Lock timeout", BackendErrorKind.Transient)]
    [InlineData(500, "server_error", "server_error", "The server had an error", BackendErrorKind.Transient)]
    [InlineData(503, "server_is_overloaded", null, "Overloaded", BackendErrorKind.Transient)]
    [InlineData(529, null, null, "Overloaded", BackendErrorKind.Transient)]
    [InlineData(0, null, null, "The connection broke", BackendErrorKind.Transient)]
    // nothing can work
    [InlineData(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota", BackendErrorKind.BackendUnavailable)]
    [InlineData(429, "credit_balance_exhausted", "insufficient_quota", "No credit", BackendErrorKind.BackendUnavailable)]
    [InlineData(429, "project_spend_limit_exceeded", "insufficient_quota", "Limit", BackendErrorKind.BackendUnavailable)]
    [InlineData(401, "invalid_api_key", "invalid_request_error", "Incorrect API key provided", BackendErrorKind.BackendUnavailable)]
    [InlineData(401, null, null, "No key", BackendErrorKind.BackendUnavailable)]
    [InlineData(403, null, null, "Forbidden", BackendErrorKind.BackendUnavailable)]
    [InlineData(404, "model_not_found", null, "The model `x` does not exist", BackendErrorKind.BackendUnavailable)]
    [InlineData(400, "model_not_found", null, "The requested model 'x' does not exist.", BackendErrorKind.BackendUnavailable)]
    [InlineData(404, "DeploymentNotFound", null, "The API deployment for this resource does not exist.", BackendErrorKind.BackendUnavailable)]
    [InlineData(404, null, null, "Invalid URL (POST /v2/responses)", BackendErrorKind.BackendUnavailable)]
    [InlineData(405, "method_not_supported", null, "Not allowed to POST", BackendErrorKind.BackendUnavailable)]
    [InlineData(302, null, null, "a body", BackendErrorKind.BackendUnavailable)]
    [InlineData(0, ErrorMap.NotSent, null, "No token", BackendErrorKind.BackendUnavailable)]
    [InlineData(0, ErrorMap.Unreachable, null, "No such host", BackendErrorKind.BackendUnavailable)]
    // the batch's own
    [InlineData(400, "invalid_prompt", "invalid_request_error", "Invalid prompt", BackendErrorKind.Permanent)]
    [InlineData(400, "context_length_exceeded", null, "Too long", BackendErrorKind.Permanent)]
    [InlineData(400, "string_above_max_length", null, "Too long", BackendErrorKind.Permanent)]
    [InlineData(413, null, null, "Too large", BackendErrorKind.Permanent)]
    [InlineData(422, null, null, "Unprocessable", BackendErrorKind.Permanent)]
    // a run that was taken and failed
    [InlineData(200, "server_error", null, "Sorry", BackendErrorKind.Transient)]
    [InlineData(200, "rate_limit_exceeded", null, "Slow", BackendErrorKind.Transient)]
    [InlineData(200, "insufficient_quota", null, "No money", BackendErrorKind.BackendUnavailable)]
    [InlineData(200, "invalid_prompt", null, "Refused", BackendErrorKind.Permanent)]
    [InlineData(200, "content_filter", null, "Held back", BackendErrorKind.Permanent)]
    [InlineData(200, null, null, "The run expired", BackendErrorKind.Transient)]
    [InlineData(200, ErrorMap.Garbage, null, "no JSON", BackendErrorKind.Transient)]
    public void Classify_KnownError_HasItsKind(int status, string? code, string? type, string message, BackendErrorKind kind) =>
        Assert.Equal(kind, ErrorMap.Classify(new ApiError { Status = status, Code = code, Type = type, Message = message }));

    [Theory]
    [InlineData("model")]
    [InlineData("assistant_id")]
    public void Classify_RefusedSetting_IsTheBackends(string param) =>
        Assert.Equal(BackendErrorKind.BackendUnavailable, ErrorMap.Classify(new ApiError { Status = 400, Param = param, Message = "Invalid value" }));

    [Theory]
    [InlineData(500, null, true)]
    [InlineData(502, null, true)]
    [InlineData(503, null, true)]
    [InlineData(503, "server_is_overloaded", false)]
    [InlineData(504, null, true)]
    [InlineData(408, null, true)]
    [InlineData(501, null, false)]
    [InlineData(429, null, false)]
    [InlineData(400, null, false)]
    [InlineData(404, null, false)]
    public void MayHaveBeenTaken_AnsweredPost_DependsOnTheStatus(int status, string? code, bool expected) =>
        Assert.Equal(expected, ErrorMap.MayHaveBeenTaken(new ApiError { Status = status, Code = code }));

    [Theory]
    [InlineData(404, null, "No thread found with id 'thread_1'.", true)]
    [InlineData(404, null, "No thread found with id 'thread_2'.", false)]
    [InlineData(404, null, "Invalid URL", false)]
    [InlineData(400, "previous_response_not_found", "Previous response with id 'thread_1' not found.", true)]
    [InlineData(400, null, "Something about thread_1", false)]
    [InlineData(500, null, "thread_1", false)]
    // the server doesn't know the address, and quotes it
    [InlineData(404, null, "Invalid URL (POST /v1/threads/thread_1/runs)", false)]
    [InlineData(404, null, "Invalid URL (GET /v1/threads/thread_1)", false)]
    [InlineData(404, null, "Cannot GET https://example.org/v1/threads?id=thread_1", false)]
    [InlineData(404, "unknown_url", "Unknown request URL: POST thread_1", false)]
    [InlineData(404, "model_not_found", "The model of thread_1 does not exist", false)]
    [InlineData(404, null, "GET /v1/threads/thread_1: there is no thread thread_1.", true)]
    [InlineData(404, null, "thread_1", true)]
    [InlineData(404, null, "No thread found with id 'thread_12'.", false)]
    public void IsGone_NamesTheId_OnlyThen(int status, string? code, string message, bool expected) =>
        Assert.Equal(expected, ErrorMap.IsGone(new ApiError { Status = status, Code = code, Message = message }, "thread_1"));

    [Fact]
    public void ActiveRun_BothTexts_AreUnderstood()
    {
        Assert.Equal("run_KfVG", ErrorMap.ActiveRun(new ApiError { Message = "Can't add messages to thread_jD1d while a run run_KfVG is active." }));
        Assert.Equal("run_nuUS", ErrorMap.ActiveRun(new ApiError { Message = "Thread thread_CPVZ already has an active run run_nuUS." }));
        Assert.Null(ErrorMap.ActiveRun(new ApiError { Message = "Thread thread_CPVZ has no run." }));
    }

    [Theory]
    [InlineData("Can't add messages to t while a run 3f2a.7-b is active.", "3f2a.7-b")]
    [InlineData("Thread t already has an active run 3f2a.7-b.", "3f2a.7-b")]
    [InlineData("Thread t already has an active run 3f2a7b", "3f2a7b")]
    [InlineData("Thread t already has an active run '3f2a7b'. Wait for it.", "3f2a7b")]
    [InlineData("Can't add messages to t while a run is active.", null)]
    public void ActiveRun_IdsOfOtherServers_AreUnderstood(string message, string? run)
    {
        Assert.Equal(run, ErrorMap.ActiveRun(new ApiError { Message = message }));
        Assert.Equal(run is not null, ErrorMap.IsBusy(new ApiError { Status = 400, Message = message }));
    }

    [Theory]
    [InlineData(null, "Invalid URL (GET /v1/assistants/asst_1)", "Endpoint")]
    [InlineData("unknown_url", "Unknown request URL: GET /assistants/asst_1", "Endpoint")]
    [InlineData(null, "No assistant found with id 'asst_1'.", "AssistantId")]
    public void SettingAtFault_404_IsTheAssistantOnlyWhenTheAddressIsKnown(string? code, string message, string setting) =>
        Assert.Equal(setting, ErrorMap.SettingAtFault(new ApiError { Status = 404, Code = code, Message = message }));

    [Fact]
    public void CallWithoutOutput_Poisoned_NamesTheCall() =>
        Assert.Equal("call_a1-B", ErrorMap.CallWithoutOutput(new ApiError { Status = 400, Message = "No tool output found for function call call_a1-B." }));

    [Theory]
    [InlineData("""{"error":{"message":"m","type":"t","param":"p","code":"c"}}""", "m", "c")]
    [InlineData("""{"error":{"message":"m","code":null}}""", "m", null)]
    [InlineData("""{"error":"just text"}""", "just text", null)]
    [InlineData("""{"message":"from a gateway","statusCode":502}""", "from a gateway", null)]
    [InlineData("<html>Bad gateway</html>", "a body of 24 bytes that is no error of the API", null)]
    [InlineData("", "a body of 0 bytes that is no error of the API", null)]
    [InlineData("[]", "a body of 2 bytes that is no error of the API", null)]
    public void Read_Bodies_AreUnderstood(string body, string message, string? code)
    {
        var error = ApiError.Read(502, Encoding.UTF8.GetBytes(body), null);

        Assert.Equal(message, error.Message);
        Assert.Equal(code, error.Code);
    }
}
