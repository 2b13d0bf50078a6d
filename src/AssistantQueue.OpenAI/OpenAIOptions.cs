namespace AssistantQueue;

/// <summary>The settings of <c>UseOpenAI()</c>. Bound to the section <c>OpenAI</c> below the queue's own, for example <c>AssistantQueue:OpenAI</c>; named by the queue.</summary>
/// <remarks>Keys, endpoints, <see cref="AzureApiVersion"/>, <see cref="NetworkTimeout"/> and the choice of API are read once, at the start; model, assistant and the others before each run.</remarks>
public sealed class OpenAIOptions
{
    /// <summary>Gets or sets which API runs the batches.</summary>
    /// <value>The default follows from what is set: <see cref="OpenAIApi.Assistants"/> when there is an <see cref="AssistantId"/>, otherwise <see cref="OpenAIApi.Responses"/>.</value>
    public OpenAIApi? Api { get; set; }

    /// <summary>Gets or sets the key: OpenAI's, or Azure's when <see cref="AzureEndpoint"/> is set.</summary>
    /// <remarks>Not needed when an <c>OpenAIClient</c> is in DI, or a <c>TokenCredential</c> for Azure.</remarks>
    /// <value>The default is the configuration's <c>OPENAI_API_KEY</c> (so the environment variable too), or <c>AZURE_OPENAI_API_KEY</c> with an <see cref="AzureEndpoint"/>.</value>
    public string? ApiKey { get; set; }

    /// <summary>Gets or sets the base URL of OpenAI or of a compatible server, up to and including <c>/v1</c>.</summary>
    /// <value>The default is <c>https://api.openai.com/v1</c>.</value>
    public Uri? Endpoint { get; set; }

    /// <summary>Gets or sets the model; on Azure the deployment. Required for Responses. With Assistants it replaces the assistant's own model.</summary>
    public string? Model { get; set; }

    /// <summary>Gets or sets the assistant's id, <c>asst_…</c>. Required for Assistants.</summary>
    public string? AssistantId { get; set; }

    /// <summary>Gets or sets the Azure resource (<c>https://&lt;name&gt;.openai.azure.com</c>) or Foundry project (<c>https://&lt;name&gt;.services.ai.azure.com/api/projects/&lt;project&gt;</c>).</summary>
    /// <value>The default is none: OpenAI itself, or <see cref="Endpoint"/>.</value>
    public Uri? AzureEndpoint { get; set; }

    /// <summary>Gets or sets the API version of Azure's dated Assistants URLs, for example <c>2025-04-01-preview</c>. Used with <see cref="OpenAIApi.Assistants"/> only.</summary>
    /// <value>The default is none: <c>/openai/v1</c> without a version.</value>
    public string? AzureApiVersion { get; set; }

    /// <summary>Gets or sets a value indicating whether responses are made in the background, where they outlive their worker: another one goes on with them.</summary>
    /// <remarks>False streams each response instead, for accounts that may not store responses in the background: a worker's death then ends the response, and its successor begins anew. Runs of the Assistants API always outlive their worker.</remarks>
    /// <value>The default is true.</value>
    public bool Background { get; set; } = true;

    /// <summary>Gets or sets a value indicating whether replies are read as a stream, so that watchers see the text as it is written.</summary>
    /// <value>The default is false: runs are looked at with growing pauses. Always true without <see cref="Background"/> on Responses.</value>
    public bool Stream { get; set; }

    /// <summary>Gets or sets a value indicating whether a thread's history is kept in a conversation at the API; false chains each response to the one before.</summary>
    /// <value>The default follows from the endpoint: Azure's resource endpoints have no conversations, everything else has.</value>
    public bool? UseConversations { get; set; }

    /// <summary>Gets or sets the most tokens a reply may have; a reply that is cut there is delivered as far as it goes.</summary>
    /// <value>The default is none; otherwise at least 16, and 256 with Assistants.</value>
    public int? MaxOutputTokens { get; set; }

    /// <summary>Gets or sets the first pause between two looks at a run. Short pauses give quick replies and more requests.</summary>
    /// <value>The default is 250 milliseconds; each pause is half as long again as the one before.</value>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>Gets or sets the longest pause between two looks at a run.</summary>
    /// <value>The default is 2 seconds.</value>
    public TimeSpan MaxPollInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Gets or sets how long a call, or the next piece of a stream, may take. Too short breaks streams of models that think for long.</summary>
    /// <value>The default is 100 seconds.</value>
    public TimeSpan NetworkTimeout { get; set; } = TimeSpan.FromSeconds(100);

    /// <summary>Gets the values of the configuration that could not be read.</summary>
    internal List<string> Faults { get; } = [];

    /// <summary>Gets which API the settings ask for.</summary>
    internal OpenAIApi EffectiveApi => Api ?? (string.IsNullOrEmpty(AssistantId) ? OpenAIApi.Responses : OpenAIApi.Assistants);
}

/// <summary>The APIs of OpenAI that can run a batch.</summary>
public enum OpenAIApi
{
    /// <summary>Responses, with Conversations where the endpoint has them. What OpenAI and Azure offer today.</summary>
    Responses,

    /// <summary>Assistants: threads, messages and runs. OpenAI shut its own down on 2026-08-26; compatible servers speak it.</summary>
    Assistants,
}
