using System.Text.Json.Nodes;

namespace AssistantQueue.Emulators;

/// <summary>A refusal as the API words it: status and error body.</summary>
internal sealed class ApiException(int status, string message, string? code = null, string? param = null, string type = "invalid_request_error") : Exception(message)
{
    public int Status => status;

    public string? Code => code;

    public JsonObject ToBody() => Body(Message, type, param, code);

    public static JsonObject Body(string message, string type, string? param, string? code) => new()
    {
        ["error"] = new JsonObject { ["message"] = message, ["type"] = type, ["param"] = param, ["code"] = code },
    };

    public static ApiException UnknownRoute(string method, string path) => new(404, $"Invalid URL ({method} {path})");

    public static ApiException WrongMethod(string method, string path) => new(405, $"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use another HTTP method?)", "method_not_supported");

    public static ApiException NoKey() => new(401, "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted for a username and password.");

    public static ApiException WrongKey(string key) => new(401, $"Incorrect API key provided: {Masked(key)}. You can find your API key at https://platform.openai.com/account/api-keys.", "invalid_api_key");

    public static ApiException WrongAzureKey() => new(401, "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource.", "401");

    public static ApiException NoBeta() => new(400, "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by setting the header 'OpenAI-Beta: assistants=v2'.", "invalid_beta");

    public static ApiException NotJson() => new(400, "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)");

    public static ApiException NoThread(string id) => new(404, $"No thread found with id '{id}'.");

    public static ApiException NoMessage(string id) => new(404, $"No message found with id '{id}'.");

    public static ApiException NoRun(string id) => new(404, $"No run found with id '{id}'.");

    public static ApiException NoStep(string id) => new(404, $"No run step found with id '{id}'.");

    public static ApiException NoAssistant(string id) => new(404, $"No assistant found with id '{id}'.");

    public static ApiException NoModel(string model) => new(404, $"The model `{model}` does not exist or you do not have access to it.", "model_not_found");

    public static ApiException NoConversation(string id) => new(404, $"Conversation with id '{id}' not found.");

    public static ApiException NoItem(string id) => new(404, $"Item with id '{id}' not found.");

    public static ApiException NoResponse(string id) => new(404, $"Response with id '{id}' not found.");

    public static ApiException NoPrevious(string id) => new(400, $"Previous response with id '{id}' not found.", "previous_response_not_found", "previous_response_id");

    public static ApiException MessageWhileActive(string thread, string run) => new(400, $"Can't add messages to {thread} while a run {run} is active.");

    public static ApiException RunWhileActive(string thread, string run) => new(400, $"Thread {thread} already has an active run {run}.");

    public static ApiException ConversationLocked() => new(400, "Another process is currently operating on this conversation. Please retry in a few seconds.", "conversation_locked", "conversation");

    public static ApiException NoToolOutput(string call) => new(400, $"No tool output found for function call {call}.", param: "input");

    public static ApiException NoToolCall(string call) => new(400, $"No tool call found for function call output with call_id {call}.", param: "input");

    public static ApiException DuplicateItem(string id) => new(400, $"Duplicate item found with id {id}. Remove duplicate items from your input and try again.", param: "input");

    public static ApiException CannotCancelRun(string status) => new(400, $"Cannot cancel run with status '{status}'.");

    public static ApiException CannotCancelResponse() => new(400, "Cannot cancel a synchronous response.");

    public static ApiException NoOutputsWanted(string status) => new(400, $"Runs in status \"{status}\" do not accept tool outputs.");

    public static ApiException OtherOutputsWanted(IEnumerable<string> wanted, IEnumerable<string> got) => new(400, $"Expected tool outputs for call_ids [{Quoted(wanted)}], got [{Quoted(got)}]");

    public static ApiException Together(string one, string other) => new(400, $"Mutually exclusive parameters: '{one}' and '{other}'. Ensure you are only providing one of: '{one}' or '{other}'.", "mutually_exclusive_parameters", one);

    public static ApiException BackgroundWithoutStore() => new(400, "Background mode requires the response to be stored: 'store' must not be false when 'background' is true.", "unsupported_parameter", "background");

    public static ApiException NotStreamed() => new(400, "This response cannot be streamed because it was not created with background and stream set to true.", param: "stream");

    public static ApiException InvalidPrompt() => new(400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a different prompt.", "invalid_prompt");

    private static string Masked(string key) => key.Length < 12 ? new string('*', key.Length) : $"{key[..4]}{new string('*', key.Length - 8)}{key[^4..]}";

    private static string Quoted(IEnumerable<string> ids) => string.Join(", ", ids.Select(id => $"'{id}'"));
}
