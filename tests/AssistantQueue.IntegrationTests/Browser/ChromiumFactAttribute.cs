namespace AssistantQueue.IntegrationTests.Browser;

/// <summary>A test that needs a Chromium on this machine: Debian's <c>chromium</c>, or one that <c>ASSISTANTQUEUE_TEST_CHROMIUM</c> names.</summary>
public sealed class ChromiumFactAttribute : FactAttribute
{
    public ChromiumFactAttribute()
    {
        if (Chromium.Path is null)
        {
            Skip = "There is no chromium on the PATH; install it, or name one in ASSISTANTQUEUE_TEST_CHROMIUM.";
        }
    }
}
